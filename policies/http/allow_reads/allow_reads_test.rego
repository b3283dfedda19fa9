package holdpoint.policies.http.allow_reads_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.allow_reads

test_reads_pass if {
	every method in ["GET", "HEAD", "OPTIONS"] {
		given := testing.http("production", {"method": method})
		testing.codes(allow_reads.findings) == {"read"} with input as given
	}
}

# Nothing allows them then, and the decision is `no-rule`.
test_a_body_is_no_part_of_a_read if {
	every method in ["GET", "HEAD", "OPTIONS"] {
		every body in [
			{"inspected": true, "size": 1, "text": "x"},
			{"inspected": false, "size": 0},
			{"inspected": false, "size": 7},
			{"inspected": false, "size": null},
			{"inspected": true, "size": null},
		] {
			given := testing.http("production", {"method": method, "body": body})
			count(allow_reads.findings) == 0 with input as given
		}
	}
}

# Another case is another method, and an upstream may take it for anything.
test_nothing_else_passes if {
	every method in ["get", "GET ", "POST", "DELETE", "TRACE", "CONNECT", "PROPFIND", ""] {
		given := testing.http("production", {"method": method})
		count(allow_reads.findings) == 0 with input as given
	}
}
