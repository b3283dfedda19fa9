# METADATA
# scope: package
# title: Sessions with MCP servers
# description: What opens, keeps and ends a session with an MCP server, and what lists and reads there, passes without a person. Calling a tool is a write.
# custom:
#   id: http.mcp_sessions
#   severity: low
#   mode: enforce
package holdpoint.policies.http.mcp_sessions

import data.holdpoint.lib.http

findings contains finding if {
	http.mcp_housekeeping
	finding := {
		"code": "mcp-session",
		"effect": "allow",
		"message": "A session with an MCP server, its lists and reads, is allowed.",
	}
}
