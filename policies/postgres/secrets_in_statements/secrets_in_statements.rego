# METADATA
# scope: package
# title: Secrets stay with the agent
# description: |
#   A private key, or a credential that the gateway holds for a target, in the text of a statement or in a value that it is
#   bound to is refused: a statement can't be changed, and servers log it.
# custom:
#   id: postgres.secrets_in_statements
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.secrets_in_statements

import data.holdpoint.lib.masking
import data.holdpoint.lib.postgres

settings := data.holdpoint.config.policies["postgres.secrets_in_statements"]

findings contains postgres.blocked(kind, "The statement carries a secret; leave it out.") if {
	some part in ["text", "values"]
	some kind in masking.found(part, settings.block_kinds)
}

# Without the families of what was found, a rule that asks for them would be silent.
findings contains postgres.blocked("unread-secrets", "The gateway could not look for secrets in the statement.") if {
	is_array(postgres.statements)
	not looked_for
}

looked_for if {
	sensitive := input.action.facts.sensitive
	every part in ["text", "values"] {
		every kind, _ in sensitive[part] {
			is_string(sensitive.families[kind])
		}
	}
}
