# METADATA
# scope: package
# title: Statements that no rule judges
# description: What neither reads, writes nor defines, and is no matter of privileges or libraries, is refused, or waits for a person.
# custom:
#   id: postgres.other_statements
#   severity: medium
#   mode: enforce
package holdpoint.policies.postgres.other_statements

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.other_statements"]

findings contains postgres.blocked("other-statement", "Statements of this kind are not let through.") if {
	some statement in postgres.statements
	not judged(statement)
	not statement.kind in settings.held
}

findings contains finding if {
	some statement in postgres.statements
	statement.kind in settings.held
	finding := postgres.held(
		"maintenance",
		"Maintenance of the server needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

judged(statement) if postgres.doing(statement)

judged(statement) if statement.kind in data.holdpoint.config.policies["postgres.privileges"].statements

judged(statement) if statement.kind == "load"
