# METADATA
# scope: package
# title: Writes outside production are allowed
# description: Where data says that an environment is not production, agents may change rows and tables without asking.
# custom:
#   id: postgres.allow_writes_nonprod
#   severity: info
#   mode: enforce
package holdpoint.policies.postgres.allow_writes_nonprod

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

findings contains finding if {
	target.nonproduction
	every statement in postgres.statements {
		postgres.doing(statement) in {"read", "write", "define"}
	}
	some statement in postgres.statements
	postgres.doing(statement) != "read"
	finding := {
		"code": "write-nonproduction",
		"effect": "allow",
		"message": "Writing is allowed outside production.",
	}
}
