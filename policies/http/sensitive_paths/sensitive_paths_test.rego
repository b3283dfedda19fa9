package holdpoint.policies.http.sensitive_paths_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.sensitive_paths

test_sensitive_paths_are_blocked if {
	every path in [
		"/admin", "/api/Admin/users", "/ADMIN;x=1/users", "/admin./", "/.env", "/app/.env.production", "/.git/config",
		"/.git-credentials", "/actuator/heapdump", "/debug/pprof/profile", "/internal/users", "/etc/passwd",
		"/files/etc/passwd", "/metadata/v1", "/latest/meta-data/iam", "/computeMetadata/v1", "/a\\admin",
	] {
		given := testing.http("production", testing.request("GET", path))
		testing.codes(sensitive_paths.findings) == {"sensitive-path"} with input as given
	}
}

# %2f decodes to a slash inside of a segment.
test_an_encoded_slash_is_no_way_round if {
	given := testing.http("dev", object.union(testing.request("GET", "/x%2fadmin"), {"segments": ["x/admin"]}))
	testing.codes(sensitive_paths.findings) == {"sensitive-path"} with input as given
}

test_disguises_are_blocked if {
	every segment in ["%61dmin", "..", ".", "a/../b", "..;x=1", "a\u0000b", "a\nb", "%2e%2e"] {
		given := testing.http("dev", object.union(testing.request("GET", "/x"), {"segments": ["x", segment, "y"]}))
		"disguised-path" in testing.codes(sensitive_paths.findings) with input as given
	}
}

test_ordinary_paths_pass if {
	every path in [
		"/customers/7", "/orders/7/metadata", "/administration-fees", "/environment", "/users/etc", "/search/100%",
		"/files/report..final", "/gitlab", "/debugging-guide", "/console-games/7/root",
	] {
		given := testing.http("production", testing.request("GET", path))
		testing.codes(sensitive_paths.findings) == set() with input as given
	}
}

test_data_may_open_a_prefix_for_one_target if {
	open := {"crm": ["/Admin/reports"], "*": []}
	expected := {
		"/admin/reports": set(),
		"/admin/reports/7": set(),
		"/admin/reports-all": {"sensitive-path"},
		"/admin": {"sensitive-path"},
	}
	every path, codes in expected {
		given := testing.http("production", testing.request("GET", path))
		testing.codes(sensitive_paths.findings) == codes with input as given
			with data.holdpoint.config.policies["http.sensitive_paths"].exceptions as open
	}
}

test_an_empty_exception_opens_nothing if {
	given := testing.http("production", testing.request("GET", "/admin"))
	testing.codes(sensitive_paths.findings) == {"sensitive-path"} with input as given
		with data.holdpoint.config.policies["http.sensitive_paths"].exceptions as {"*": ["/", ""]}
}
