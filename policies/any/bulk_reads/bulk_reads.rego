# METADATA
# scope: package
# title: Reading in bulk
# description: A principal that reads very much from a target within an hour copies it. Bytes are those that went to the client; rows where the protocol counts them.
# custom:
#   id: any.bulk_reads
#   severity: high
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.bulk_reads

import data.holdpoint.lib.history

settings := data.holdpoint.config.policies["any.bulk_reads"]

findings contains finding if {
	n := input.history.target.bytes.response.hour
	effect := history.effect(n, object.get(settings.bytes, input.target.name, settings.bytes["*"]))
	message := sprintf("%d bytes were read from this target within the last hour: too much.", [n])
	finding := history.finding(effect, "history-bulk-bytes", message, settings.group)
}

findings contains finding if {
	n := input.history.target.rows.hour
	effect := history.effect(n, object.get(settings.rows, input.target.name, settings.rows["*"]))
	message := sprintf("%d rows were read from this target within the last hour: too many.", [n])
	finding := history.finding(effect, "history-bulk-rows", message, settings.group)
}
