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
		{"query": {"_method[]": ["DELETE"]}},
		{"query": {" _method[a][b]": ["DELETE"]}},
		{"query": {"x.http.method": ["DELETE"]}},
		{"query": {"a": ["1;_method=DELETE"]}},
		{"query": {"a;_method": ["DELETE"]}},
		{"query": {"a&.METHOD ;b": ["DELETE"]}},
		{"query": {"a;x.http-method override[": ["DELETE"]}},
		{"query": {"a": ["1;\u00a0_method\u2003[a]b=DELETE"]}},
		{"query": {"a": ["1;b;-method ==DELETE"]}},
		{"query": {"a": ["1", "2;b=3;_Method[]=DELETE"]}},
		{"body": {"inspected": true, "size": 9, "form": {"a": ["1;_method=DELETE"]}}},
		{"body": {"inspected": true, "size": 9, "form": {"_method[0]": ["DELETE"]}}},
		{"body": {"inspected": true, "size": 9, "json": {"_method[]": ["delete"]}}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": ["GET", "x"]}}},
		{"body": {"inspected": true, "size": 9, "form": {"_method": ["delete"]}}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": "delete "}}},
		{"body": {"inspected": true, "size": 9, "text": "a=1&_method=DELETE"}},
	] {
		given := testing.http("dev", object.union({"method": "POST"}, facts))
		testing.codes(method_override.findings) == {"method-override"} with input as given
	}
}

test_overrides_in_text_are_blocked if {
	every text in [
		"a=1;_method=DELETE", "a=1&_method[]=DELETE", "a=1& _method=DELETE", "%5Fmethod=DELETE", "a=1;_method%5B%5D=DELETE",
		"{\"_method\": \"DELETE\"}", "--x\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE",
		"form-data; name=\"_method[]\"\r\n\r\nDELETE", "form-data; NAME = _method\r\n\r\nDELETE",
		"form-data;\r\n name=_method; x=y\r\n\r\nDELETE", "form-data; name='_Method'\r\n", "form-data; name=\"_\\method\"\r\n",
		"form-data; name=\"X-HTTP-Method-Override\"\r\n", "form-data; name*=utf-8''%5fmeth%6fd\r\n\r\nDELETE",
		"form-data; name*0=_met; name*1=hod\r\n",
	] {
		facts := {"method": "POST", "body": {"inspected": true, "size": 9, "text": text}}
		testing.codes(method_override.findings) == {"method-override"} with input as testing.http("dev", facts)
	}
}

test_ordinary_requests_pass if {
	every facts in [
		{},
		{"headers": {"x-requested-with": ["x"]}},
		{"query": {"method": ["DELETE"]}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": "card"}}},
		{"body": {"inspected": true, "size": 9, "json": ["_method"]}},
		{"body": {"inspected": true, "size": 9, "json": [{"_method": "DELETE"}]}},
		{"body": {"inspected": true, "size": 9, "json": "_method"}},
		{"body": {"inspected": true, "size": 9, "json": null}},
		{"body": {"inspected": true, "size": 9, "json": 7}},
		{"body": {"inspected": true, "size": 9, "json": {"_method": {"a": 1}}}},
		{"query": {"q": ["_method"], "r": ["see; _method"]}},
		{"query": {"q": ["_method"], "r": ["a; method=b;x_method=c;_methods=d"], "s": ["_method=e"], "a;_methods": ["f"]}},
		{"body": {"inspected": true, "size": 9, "form": {"note": ["a; b & c"]}}},
		{"body": {"inspected": true, "size": 9, "text": "form-data; name=\"the_method\"; filename=\"_methods.txt\"\r\n\r\nx"}},
		{"body": {"inspected": true, "size": 9, "text": "the_method=1"}},
	] {
		given := testing.http("dev", object.union({"method": "POST"}, facts))
		count(method_override.findings) == 0 with input as given
	}
}
