package holdpoint.policies.http.allow_writes_nonprod_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.allow_writes_nonprod

test_writes_pass_where_data_says_so if {
	every environment in ["dev", "Staging", " test "] {
		every method in ["POST", "PUT", "PATCH", "DELETE"] {
			given := testing.http(environment, {"method": method})
			testing.codes(allow_writes_nonprod.findings) == {"write-nonproduction"} with input as given
		}
	}
}

test_unknown_environments_are_production if {
	every environment in ["production", "prod", "live", "", "development2"] {
		given := testing.http(environment, {"method": "POST"})
		count(allow_writes_nonprod.findings) == 0 with input as given
	}
}

test_reads_and_odd_methods_are_not_its_business if {
	every method in ["GET", "post", "TRACE"] {
		given := testing.http("dev", {"method": method})
		count(allow_writes_nonprod.findings) == 0 with input as given
	}
}
