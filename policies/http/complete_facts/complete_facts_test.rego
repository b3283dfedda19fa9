package holdpoint.policies.http.complete_facts_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.complete_facts

test_a_whole_request_passes if {
	given := testing.http("production", {})
	count(complete_facts.findings) == 0 with input as given
}

test_a_missing_fact_blocks if {
	every name in ["method", "path", "segments", "query", "headers", "body", "sensitive"] {
		whole := testing.http("production", {})
		given := json.remove(whole, [sprintf("action/facts/%s", [name])])
		testing.codes(complete_facts.findings) == {"incomplete-facts"} with input as given
	}
}

test_a_fact_of_another_type_blocks if {
	given := testing.http("production", {"segments": "customers"})
	testing.codes(complete_facts.findings) == {"incomplete-facts"} with input as given
}
