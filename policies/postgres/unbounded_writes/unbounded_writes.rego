# METADATA
# scope: package
# title: Writes to every row
# description: |
#   UPDATE, DELETE and MERGE without a condition, or with one that is true of every row, are refused in production and wait
#   for a person elsewhere.
# custom:
#   id: postgres.unbounded_writes
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.unbounded_writes

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.unbounded_writes"]

findings contains postgres.blocked(code[statement.kind], message) if {
	target.production
	some statement in unbounded
}

findings contains postgres.held(code[statement.kind], message, {"group": target.approval_group(settings.group)}) if {
	target.nonproduction
	settings.hold_nonproduction
	some statement in unbounded
}

unbounded contains statement if {
	some statement in postgres.statements
	statement.kind in object.keys(code)
	not statement.where == "some"
	statement.within != "explain"
}

code := {"delete": "unbounded-delete", "merge": "unbounded-merge", "update": "unbounded-update"}

message := "This writes to every row; say which rows with a condition that is not always true."
