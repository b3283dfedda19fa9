# METADATA
# scope: package
# title: Definitions in production
# description: |
#   What changes the definition of things in production (CREATE, ALTER, DROP, TRUNCATE …) waits for a person. DROP, TRUNCATE,
#   ALTER and the like are refused outside of a change window, and some things are not dropped through the gateway at all.
# custom:
#   id: postgres.ddl
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.ddl

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.ddl"]

findings contains postgres.blocked("outside-window", message) if {
	some statement in definitions
	statement.kind in settings.in_windows
	not open
	message := "In production this is for the change window only."
}

findings contains finding if {
	count(definitions) > 0
	finding := postgres.held(
		"definition",
		"Changing definitions in production needs a person's approval.",
		{"group": target.approval_group(settings.group), "quorum": settings.quorum},
	)
}

findings contains postgres.blocked("never-dropped", message) if {
	some statement in definitions
	statement.kind == "drop"
	some thing in statement.objects
	lower(thing.type) in settings.never_dropped
	message := "This is not dropped in production through the gateway."
}

definitions contains statement if {
	target.production
	some statement in postgres.statements
	postgres.doing(statement) == "define"
}

windows := object.get(settings.windows, input.target.name, settings.windows["*"])

open if {
	now := time.parse_rfc3339_ns(input.context.time)
	[hour, _, _] := time.clock(now)
	some window in windows
	lower(substring(time.weekday(now), 0, 3)) in window.days
	hour >= window.from
	hour < window.to
}
