# METADATA
# scope: package
# title: Many failures in a row
# description: An agent that only fails (refused here, or by the target) guesses at something. The row ends with a success, or when nothing failed for a quarter of an hour.
# custom:
#   id: any.failures_in_row
#   severity: medium
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.failures_in_row

import data.holdpoint.lib.history

settings := data.holdpoint.config.policies["any.failures_in_row"]

findings contains finding if {
	n := input.history.target.failures_in_a_row
	n > 0
	effect := history.effect(n, object.get(settings.failures, input.target.name, settings.failures["*"]))
	message := sprintf("The last %d actions on this target failed. Find out why before you go on.", [n])
	finding := history.finding(effect, "history-failures", message, settings.group)
}
