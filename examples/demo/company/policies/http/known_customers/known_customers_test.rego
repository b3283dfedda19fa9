package holdpoint.policies.http.known_customers_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.known_customers

test_each_kind_has_its_operator if {
	masks := {mask.kinds[0]: mask.operator | some mask in [finding.mask | some finding in known_customers.findings]}
	masks == {"card": "partial", "acme-customer": "hash"} with input as testing.http("production", {})
}

test_requests_are_left_to_others if {
	lanes := {lane | some finding in known_customers.findings; some lane in finding.mask.lanes}
	lanes == {"response"} with input as testing.http("production", {})
}
