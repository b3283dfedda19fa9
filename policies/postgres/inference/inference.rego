# METADATA
# scope: package
# title: Masked values are not guessed at
# description: |
#   A value that is masked in results can be told by how many rows a condition on it finds, by their order, or by what they
#   group and join with. In production such use of governed columns waits for a person.
# custom:
#   id: postgres.inference
#   severity: medium
#   mode: enforce
package holdpoint.policies.postgres.inference

import data.holdpoint.lib.governed
import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.inference"]

findings contains finding if {
	target.production
	count(asked) > 0
	finding := postgres.held(
		"inference",
		"Filtering, sorting, grouping or joining by a governed column tells its values; that needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

asked contains name if {
	some statement in postgres.statements
	some name in governed.surely(statement, ["sorted", "grouped", "joined"])
}

asked contains name if {
	some statement in postgres.statements
	some name in governed.surely(statement, ["filtered"])
	not name in lookups
}

lookups := {lower(name) |
	some target_name in {input.target.name, "*"}
	some name in data.holdpoint.config.postgres.lookups[target_name]
}
