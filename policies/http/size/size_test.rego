package holdpoint.policies.http.size_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.size

sized(bytes) := testing.http("production", {"method": "POST", "body": {"inspected": false, "size": bytes}})

test_the_limit_itself_passes if {
	count(size.findings) == 0 with input as sized(10485760)
}

test_one_byte_more_is_blocked if {
	testing.codes(size.findings) == {"too-large"} with input as sized(10485761)
}

test_an_unknown_size_is_not_judged if {
	count(size.findings) == 0 with input as sized(null)
}

test_a_target_has_its_own_limit if {
	testing.codes(size.findings) == {"too-large"} with input as sized(11)
		with data.holdpoint.config.policies["http.size"].limit_bytes as {"*": 100, "crm": 10}
}
