# METADATA
# scope: package
# title: Unusual hours
# description: A principal acts at an hour of the day (UTC) at which it was not seen on the days before. Until it was here on enough days, nothing is unusual.
# custom:
#   id: any.unusual_hours
#   severity: low
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.unusual_hours

settings := data.holdpoint.config.policies["any.unusual_hours"]

findings contains finding if {
	hours := input.history.principal.hours
	hours.days >= settings.min_days
	[hour, _, _] := time.clock(time.parse_rfc3339_ns(input.context.time))
	hours.active[hour] < settings.seen_on_days
	finding := {
		"code": "history-unusual-hour",
		"effect": "hold",
		"message": "You are not usually active at this hour; a person has to approve it.",
		"approval": {"group": settings.group},
	}
}
