# METADATA
# scope: package
# title: Many values masked
# description: Masks hide values, and that very many are hidden says that somebody reads, or sends, what they should not.
# custom:
#   id: any.many_masked
#   severity: high
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.many_masked

import data.holdpoint.lib.history

settings := data.holdpoint.config.policies["any.many_masked"]

findings contains finding if {
	some lane in ["request", "response"]
	some kind, sums in input.history.principal.masked[lane]
	effect := history.effect(sums.hour, object.get(settings[lane], kind, settings[lane]["*"]))
	message := sprintf("%d values of kind %s were masked in the last hour: too many.", [sums.hour, kind])
	finding := history.finding(effect, "history-many-masked", message, settings.group)
}
