# METADATA
# scope: package
# title: Secrets stay with the agent
# description: Tokens and keys found in a request are masked before it goes on; a private key or a target's own credential is refused, and so is a secret where no mask reaches.
# custom:
#   id: http.secrets_in_requests
#   severity: high
#   mode: enforce
package holdpoint.policies.http.secrets_in_requests

settings := data.holdpoint.config.policies["http.secrets_in_requests"]

# Every kind, not only those found: a stage that decodes a body may see values that the detectors did not.
findings contains finding if {
	some kind in settings.mask_kinds
	found(kind)
	finding := {
		"code": "secret-masked",
		"effect": "mask",
		"message": "Secrets in the request are masked.",
		"mask": {"kinds": settings.mask_kinds, "lanes": ["request"]},
	}
}

# Detectors did not see this body, so every kind is masked while it streams, also those that would end the request.
findings contains finding if {
	not input.action.facts.body.inspected
	not input.action.facts.body.size == 0
	not input.target.name in settings.unmasked_targets
	finding := {
		"code": "unread-body-masked",
		"effect": "mask",
		"message": "Secrets in the request are masked while it streams.",
		"mask": {"kinds": array.concat(settings.mask_kinds, settings.block_kinds), "lanes": ["request"]},
	}
}

findings contains finding if {
	some kind in settings.block_kinds
	found(kind)
	finding := {
		"code": kind,
		"effect": "block",
		"message": sprintf("The request carries %s.", [object.get(named, kind, kind)]),
	}
}

named := {"private-key": "a private key", "credential": "a credential that the gateway holds for a target"}

# Masks change bodies and headers. An address is logged by everything on its way and is not changed.
findings contains finding if {
	some kind in settings.mask_kinds
	input.action.facts.sensitive.address[kind] > 0
	finding := {
		"code": "secret-in-address",
		"effect": "block",
		"message": "The request carries a secret in its path or query; send it in the body, or not at all.",
	}
}

found(kind) if {
	some part in ["address", "headers", "body"]
	input.action.facts.sensitive[part][kind] > 0
}
