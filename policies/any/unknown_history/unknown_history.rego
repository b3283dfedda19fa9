# METADATA
# scope: package
# title: Nobody knows what was done lately
# description: The figures that other policies judge by are missing or old. Those of them that are enforced block by themselves; this one says it of every action.
# custom:
#   id: any.unknown_history
#   severity: medium
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.unknown_history

findings contains finding if {
	not input.history.known == true
	finding := {
		"code": "history-unknown",
		"effect": "block",
		"message": "What was done lately can't be told at the moment. Try again in some seconds.",
	}
}
