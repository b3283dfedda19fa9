# METADATA
# scope: package
# title: Models may be asked
# description: Calls to models (Chat Completions, Responses, Messages), embeddings and the list of models pass without a person, with secrets and personal data masked on the way to the model.
# custom:
#   id: http.llm_chat
#   severity: low
#   mode: enforce
package holdpoint.policies.http.llm_chat

import data.holdpoint.lib.http

settings := data.holdpoint.config.policies["http.llm_chat"]

findings contains finding if {
	http.llm_call
	finding := {
		"code": "model-call",
		"effect": "allow",
		"message": "Asking a model is allowed; secrets and personal data in the prompt are masked.",
		"mask": {"kinds": settings.mask_kinds, "except": settings.except_kinds, "lanes": ["request"]},
	}
}
