# METADATA
# scope: package
# title: Personal data and secrets stay with the target
# description: Agents get answers with cards, social security and account numbers, passwords and tokens masked.
# custom:
#   id: http.pii_in_responses
#   severity: medium
#   mode: enforce
package holdpoint.policies.http.pii_in_responses

import data.holdpoint.lib.http

settings := data.holdpoint.config.policies["http.pii_in_responses"]

findings contains finding if {
	not input.target.name in settings.unmasked_targets
	finding := {
		"code": "response-masked",
		"effect": "mask",
		"message": "Personal data and secrets in the response are masked.",
		"mask": {
			"kinds": settings.kinds,
			"except": settings.except_kinds,
			"keys": keys,
			"operator": settings.operator,
			"lanes": ["response"],
		},
	}
}

# A model's answer uses `token` as a key for its words (logprobs); its values are still searched.
keys := [] if http.llm_call

keys := settings.keys if not http.llm_call
