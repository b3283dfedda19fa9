# METADATA
# scope: package
# title: HTTP facts
# description: |
#   Readings of an HTTP action. What allows compares exactly (`method`); what refuses compares broadly (`any_case`,
#   `words`), because an upstream may read `delete`, `/Admin;x=1` or `%2e` as what it looks like.
package holdpoint.lib.http

import data.holdpoint.lib.masking

# METADATA
# description: The method as sent.
method := input.action.facts.method

# METADATA
# description: The method in upper case, as a lax upstream would read it.
any_case := upper(method)

# METADATA
# description: |
#   True for what changes nothing on a well-behaved upstream: a method that reads, and no body. With one, frameworks that
#   route by it, or take it for the parameters, may do anything.
read if {
	method in {"GET", "HEAD", "OPTIONS"}
	bodiless
}

# METADATA
# description: True when there is surely no body. One that nobody read may be there whatever its announced size.
bodiless if {
	input.action.facts.body.inspected
	input.action.facts.body.size == 0
}

# METADATA
# description: |
#   The path as a list of words: decoded segments in lower case, cut again at encoded slashes and backslashes,
#   without `;` parameters and trailing dots or spaces.
words := [word | some word in split(plain, "/"); word != ""]

# All segments at once: to work on each by itself takes ten times as long.
plain := regex.replace(
	regex.replace(replace(lower(joined), "\\", "/"), `;[^/]*`, ""),
	`[ .]+(/|$)`,
	"$1",
)

joined := concat("/", input.action.facts.segments)

# METADATA
# description: True while a segment still is encoded after one decoding, climbs, or has a control character.
disguised if regex.match(
	`%[0-9a-fA-F]{2}|[\x00-\x1f\x7f]|(^|[/\\])\.\.?(;[^/\\]*)?($|[/\\])`,
	joined,
)

# METADATA
# description: True when every fact that a refusing rule reads is there; without one its rules would be silent.
complete if {
	facts := input.action.facts
	is_string(facts.method)
	is_string(facts.path)
	is_array(facts.segments)
	is_object(facts.query)
	is_object(facts.headers)
	is_boolean(facts.body.inspected)
	masking.complete
}

# METADATA
# description: True for a call to a model, by a path and a target that data names and a body that reads as one.
llm_call if {
	method == "POST"
	llm_place
	not unread_call
	every kind in hosted_tools {
		kind in data.holdpoint.config.llm.hosted_tools
	}
}

llm_call if {
	method == "GET"
	bodiless
	llm_place
}

llm_place if {
	input.action.facts.path in data.holdpoint.config.llm.paths
	some pattern in data.holdpoint.config.llm.targets
	glob.match(pattern, [], input.target.name)
}

# A body that was read and is no call does not become one by its path.
unread_call if {
	some end in {"/chat/completions", "/responses", "/messages"}
	endswith(input.action.facts.path, end)
	input.action.facts.body.inspected
	not input.action.facts.llm
}

# METADATA
# description: |
#   Kinds of tools that the vendor runs within the call, such as a web search: what they do is seen by nobody here.
default hosted_tools := []

hosted_tools := input.action.facts.llm.hosted_tools

# METADATA
# description: |
#   True for a message to an MCP server that changes nothing there, by a place and a method that data names; and for the
#   end of a session.
mcp_housekeeping if {
	method == "POST"
	mcp_place
	input.action.facts.mcp.kind in {"request", "notification"}
	input.action.facts.mcp.method in data.holdpoint.config.mcp.methods
}

mcp_housekeeping if {
	method == "DELETE"
	bodiless
	mcp_place
	input.action.facts.headers["mcp-session-id"]
}

mcp_place if {
	input.action.facts.path in data.holdpoint.config.mcp.paths
	some pattern in data.holdpoint.config.mcp.targets
	glob.match(pattern, [], input.target.name)
}

# METADATA
# description: The body's size in bytes, as read or as announced. Undefined when neither is known.
size := input.action.facts.body.size if is_number(input.action.facts.body.size)
