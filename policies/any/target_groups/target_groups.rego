# METADATA
# scope: package
# title: Targets are for their groups
# description: Where data names groups for a target, whoever is in none of them is refused. Without groups, any authenticated principal may ask.
# custom:
#   id: any.target_groups
#   severity: high
#   mode: enforce
package holdpoint.policies.any.target_groups

import data.holdpoint.lib.principal
import data.holdpoint.lib.target

findings contains finding if {
	not open_to_all
	not principal.in_any(target.setting("groups"))
	finding := {
		"code": "not-in-group",
		"effect": "block",
		"message": "Your groups may not use this target.",
	}
}

open_to_all if count(target.setting("groups")) == 0
