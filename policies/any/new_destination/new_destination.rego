# METADATA
# scope: package
# title: New destinations
# description: A principal that has its habits asks for a target for the first time, or one keeps asking for what is no target at all.
# custom:
#   id: any.new_destination
#   severity: medium
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.new_destination

import data.holdpoint.lib.history

settings := data.holdpoint.config.policies["any.new_destination"]

findings contains finding if {
	input.history.principal.hours.days >= settings.settled_days
	not input.history.target.first_granted
	finding := {
		"code": "history-new-destination",
		"effect": "hold",
		"message": "You ask for this target for the first time; a person has to approve it.",
		"approval": {"group": settings.group},
	}
}

findings contains finding if {
	n := input.history.principal.unexpected_destinations.hour
	effect := history.effect(n, settings.unexpected)
	message := sprintf("%d times within the last hour you asked for what is no target of this gateway.", [n])
	finding := history.finding(effect, "history-unexpected-destinations", message, settings.group)
}
