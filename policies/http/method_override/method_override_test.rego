package holdpoint.policies.http.method_override_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.method_override

test_overrides_are_blocked if {
	every facts in [
		{"headers": {"x-http-method-override": ["DELETE"]}},
		{"headers": {"X-HTTP-Method": ["delete"]}},
		{"headers": {"x_method_override": ["PUT"]}},
		{"query": {"_method": ["DELETE"]}},
		{"query": {"X-HTTP-Method-Override": ["DELETE"]}},
		{"body": {"inspected": true, "size": 9, "form": {"_method": ["delete"]}}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": "delete "}}},
		{"body": {"inspected": true, "size": 9, "text": "a=1&_method=DELETE"}},
		{"body": {"inspected": true, "size": 9, "text": "form-data; name=\"_method\"\r\n\r\nDELETE"}},
	] {
		given := testing.http("dev", object.union({"method": "POST"}, facts))
		testing.codes(method_override.findings) == {"method-override"} with input as given
	}
}

test_ordinary_requests_pass if {
	every facts in [
		{},
		{"headers": {"x-requested-with": ["x"]}},
		{"query": {"method": ["DELETE"]}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": "card"}}},
		{"body": {"inspected": true, "size": 9, "json": ["_method"]}},
		{"body": {"inspected": true, "size": 9, "text": "the_method=1"}},
	] {
		given := testing.http("dev", object.union({"method": "POST"}, facts))
		count(method_override.findings) == 0 with input as given
	}
}
