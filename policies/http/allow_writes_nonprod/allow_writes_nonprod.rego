# METADATA
# scope: package
# title: Writes outside production are allowed
# description: Where data says that an environment is not production, agents may write and delete without asking.
# custom:
#   id: http.allow_writes_nonprod
#   severity: info
#   mode: enforce
package holdpoint.policies.http.allow_writes_nonprod

import data.holdpoint.lib.http
import data.holdpoint.lib.target

findings contains finding if {
	target.nonproduction
	http.method in {"POST", "PUT", "PATCH", "DELETE"}
	finding := {
		"code": "write-nonproduction",
		"effect": "allow",
		"message": "Writing is allowed outside production.",
	}
}
