# METADATA
# scope: package
# title: Large requests
# description: A request over the limit is refused before it reaches the upstream. One of unknown length is not judged here.
# custom:
#   id: http.size
#   severity: medium
#   mode: enforce
package holdpoint.policies.http.size

import data.holdpoint.lib.http

settings := data.holdpoint.config.policies["http.size"]

findings contains finding if {
	http.size > limit
	finding := {
		"code": "too-large",
		"effect": "block",
		"message": sprintf(message, [limit]),
	}
}

message := "A request may have at most %d bytes. The operator's setting is http.size: limit_bytes in the policies' data."

limit := object.get(settings.limit_bytes, input.target.name, settings.limit_bytes["*"])
