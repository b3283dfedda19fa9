# METADATA
# scope: package
# title: Secrets stay with the agent
# description: Tokens and keys found in a request are masked before it goes on; a private key or a target's own credential is refused, and so is a secret where no mask reaches.
# custom:
#   id: http.secrets_in_requests
#   severity: high
#   mode: enforce
package holdpoint.policies.http.secrets_in_requests

import data.holdpoint.lib.masking

settings := data.holdpoint.config.policies["http.secrets_in_requests"]

mask := {"kinds": settings.mask_kinds, "except": settings.except_kinds, "lanes": ["request"]}

# All that is meant, not only what was found: a stage that decodes a body may see values that the detectors did not.
findings contains finding if {
	some part in ["address", "headers", "body"]
	count(masked(part)) > 0
	finding := {
		"code": "secret-masked",
		"effect": "mask",
		"message": "Secrets in the request are masked.",
		"mask": mask,
	}
}

# Detectors did not see this body, so all is masked while it streams, also what would end the request.
findings contains finding if {
	not input.action.facts.body.inspected
	not input.action.facts.body.size == 0
	not input.target.name in settings.unmasked_targets
	some one in [mask, {"kinds": settings.block_kinds, "lanes": ["request"]}]
	finding := {
		"code": "unread-body-masked",
		"effect": "mask",
		"message": "Secrets in the request are masked while it streams.",
		"mask": one,
	}
}

findings contains finding if {
	some kind in masking.anywhere(settings.block_kinds)
	finding := {
		"code": kind,
		"effect": "block",
		"message": sprintf("The request carries %s.", [object.get(named, kind, kind)]),
	}
}

named := {"private-key": "a private key", "credential": "a credential that the gateway holds for a target"}

# Masks change bodies and headers. An address is logged by everything on its way and is not changed.
findings contains finding if {
	count(masked("address")) > 0
	finding := {
		"code": "secret-in-address",
		"effect": "block",
		"message": "The request carries a secret in its path or query; send it in the body, or not at all.",
	}
}

# Without what is left out, and without what ends the request anyway.
masked(part) := (masking.found(part, settings.mask_kinds) - masking.found(part, settings.except_kinds)) - masking.found(
	part,
	settings.block_kinds,
)
