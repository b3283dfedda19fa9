# METADATA
# scope: package
# title: Requests are understood before they are judged
# description: A rule that refuses is silent when the fact it reads is missing. So a request with a fact missing is refused.
# custom:
#   id: http.complete_facts
#   severity: critical
#   mode: enforce
package holdpoint.policies.http.complete_facts

import data.holdpoint.lib.http

findings contains finding if {
	not http.complete
	finding := {
		"code": "incomplete-facts",
		"effect": "block",
		"message": "The gateway could not read the whole request.",
	}
}
