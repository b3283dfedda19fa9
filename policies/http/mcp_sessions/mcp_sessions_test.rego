package holdpoint.policies.http.mcp_sessions_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.destructive_methods
import data.holdpoint.policies.http.mcp_sessions
import data.holdpoint.policies.http.writes_in_production

message(method) := object.union(testing.request("POST", "/mcp"), {
	"body": {"inspected": true, "size": 60, "json": {}},
	"mcp": {"kind": "request", "method": method, "name": ""},
})

session_end := object.union(testing.request("DELETE", "/mcp"), {"headers": {"mcp-session-id": ["s"]}})

test_sessions_and_lists_pass if {
	every method in ["initialize", "ping", "tools/list", "notifications/initialized"] {
		given := testing.http("production", message(method))
		testing.codes(mcp_sessions.findings) == {"mcp-session"} with input as given
		count(writes_in_production.findings) == 0 with input as given
	}
}

test_the_end_of_a_session_passes if {
	given := testing.http("production", session_end)
	testing.codes(mcp_sessions.findings) == {"mcp-session"} with input as given
	count(destructive_methods.findings) == 0 with input as given
}

test_calling_a_tool_is_a_write if {
	given := testing.http("production", message("tools/call"))
	count(mcp_sessions.findings) == 0 with input as given
	testing.codes(writes_in_production.findings) == {"write"} with input as given
}

test_elsewhere_and_otherwise_it_is_no_session if {
	every facts in [
		object.union(message("ping"), {"path": "/refunds", "segments": ["refunds"]}),
		object.union(message("ping"), {"mcp": {"kind": "response", "method": "", "name": ""}}),
		object.union(message("ping"), {"method": "PUT"}),
		object.union(object.remove(session_end, {"headers"}), {"headers": {}}),
		object.union(session_end, {"body": {"inspected": true, "size": 3}}),
		testing.request("POST", "/mcp"),
	] {
		count(mcp_sessions.findings) == 0 with input as testing.http("production", facts)
	}
}
