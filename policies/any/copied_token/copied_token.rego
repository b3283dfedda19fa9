# METADATA
# scope: package
# title: One credential from several places
# description: A credential that is used from several networks, or in several environments, within an hour may have been copied.
# custom:
#   id: any.copied_token
#   severity: high
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.copied_token

import data.holdpoint.lib.history

settings := data.holdpoint.config.policies["any.copied_token"]

findings contains finding if {
	some what in ["networks", "environments"]
	n := count(input.history.credential[what])
	n > 1
	effect := history.effect(n, settings[what])
	message := sprintf("This credential was used in %d %s within the last hour. Get one for each place.", [n, what])
	finding := history.finding(effect, sprintf("history-several-%s", [what]), message, settings.group)
}
