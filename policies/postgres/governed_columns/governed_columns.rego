# METADATA
# scope: package
# title: Governed columns and sensitive values stay with the database
# description: |
#   Results come with the values of governed columns masked, under whatever name a statement gives them, and with sensitive
#   values masked wherever they stand.
# custom:
#   id: postgres.governed_columns
#   severity: medium
#   mode: enforce
package holdpoint.policies.postgres.governed_columns

import data.holdpoint.lib.governed
import data.holdpoint.lib.postgres

settings := data.holdpoint.config.policies["postgres.governed_columns"]

findings contains finding if {
	judged
	not input.target.name in settings.unmasked_targets
	finding := {
		"code": "values-masked",
		"effect": "mask",
		"message": "Personal data and secrets in results are masked.",
		"mask": {
			"kinds": settings.kinds,
			"except": settings.except_kinds,
			"operator": settings.operator,
			"lanes": ["response"],
		},
	}
}

judged if count(postgres.statements) > 0

# What belongs to no statement goes on under the connection's decision: notifications, notices.
judged if input.action.facts.phase == "connect"

findings contains finding if {
	some operator
	names := keys[operator]
	not input.target.name in settings.unmasked_targets
	finding := {
		"code": "columns-masked",
		"effect": "mask",
		"message": "Governed columns are masked in results.",
		"mask": {"keys": names, "operator": operator, "lanes": ["response"]},
	}
}

# Patterns are no names, and who writes one means something by it.
findings contains postgres.blocked("governed-data", message) if {
	"*" in governed.every_name
	message := "The gateway's data governs `*`, which is no column; each has to be named."
}

# A finding for each operator, not for each column: that would make decisions many times as long.
keys[operator] := sort([name | some name in governed.possibly; operator_of(name) == operator]) if {
	some operator in operators
}

operators := {operator_of(name) | some name in governed.possibly}

operator_of(name) := object.get(settings.operators, name, settings.operators["*"])
