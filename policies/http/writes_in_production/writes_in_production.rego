# METADATA
# scope: package
# title: Writing in production
# description: POST, PUT and PATCH in production wait for a person; where money moves, for one of another group. Calls to a model are not writes, nor what keeps a session with an MCP server going.
# custom:
#   id: http.writes_in_production
#   severity: medium
#   mode: enforce
package holdpoint.policies.http.writes_in_production

import data.holdpoint.lib.http
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["http.writes_in_production"]

findings contains finding if {
	writes
	not moves_money
	finding := {
		"code": "write",
		"effect": "hold",
		"message": "Writing in production needs a person's approval.",
		"approval": {"group": target.approval_group(settings.group), "quorum": settings.quorum},
	}
}

# The target's own approvers do not stand in for those who answer for money.
findings contains finding if {
	writes
	moves_money
	finding := {
		"code": "money",
		"effect": "hold",
		"message": "Moving money needs the approval of finance.",
		"approval": {"group": settings.money_group, "quorum": settings.money_quorum},
	}
}

writes if {
	target.production
	http.any_case in {"POST", "PUT", "PATCH"}
	not http.llm_call
	not http.mcp_housekeeping
}

# Within words, so that create-refund and wireTransfer count.
moves_money if {
	some word in http.words
	some money in settings.money_words
	contains(word, money)
}
