# METADATA
# scope: package
# title: Writing in production
# description: |
#   What changes rows in production, or may do so (a function that nobody knows, a lock), waits for a person; where tables
#   of money are written, for one of another group.
# custom:
#   id: postgres.writes_in_production
#   severity: medium
#   mode: enforce
package holdpoint.policies.postgres.writes_in_production

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.writes_in_production"]

findings contains finding if {
	some statement in writes
	not moves_money(statement)
	postgres.computes(statement)
	finding := postgres.held("write", "Writing in production needs a person's approval.", approval)
}

findings contains finding if {
	some statement in writes
	not moves_money(statement)
	not postgres.computes(statement)
	finding := postgres.held(
		"unknown-function",
		"A function that is not known to compute only may write; in production that needs a person's approval.",
		approval,
	)
}

# The target's own approvers do not stand in for those who answer for money.
findings contains finding if {
	some statement in writes
	moves_money(statement)
	finding := postgres.held(
		"money",
		"Writing to tables of money needs the approval of finance.",
		{"group": settings.money_group, "quorum": settings.money_quorum},
	)
}

approval := {"group": target.approval_group(settings.group), "quorum": settings.quorum}

writes contains statement if {
	target.production
	some statement in postgres.statements
	postgres.doing(statement) == "write"
}

# Within words, so that order_refunds and wireTransfers count.
moves_money(statement) if {
	some relation in statement.writes
	some money in settings.money_words
	contains(lower(relation.name), money)
}
