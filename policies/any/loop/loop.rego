# METADATA
# scope: package
# title: The same refused action again and again
# description: An agent that repeats what was refused learns nothing by it. It is told to stop and to ask a person.
# custom:
#   id: any.loop
#   severity: low
#   mode: shadow
#   reads: [history]
package holdpoint.policies.any.loop

settings := data.holdpoint.config.policies["any.loop"]

findings contains finding if {
	some row in input.history.target.repeated
	row.count >= settings.repeats
	row.verb == input.action.verb
	same(row)
	finding := {
		"code": "history-loop",
		"effect": "block",
		"message": sprintf(
			"This was refused %d times within an hour, for %s. Stop repeating it: tell the person you work for, and ask what to do.",
			[row.count, row.code],
		),
	}
}

# The journal's text of a resource has its secrets masked; the digest is the whole action's.
same(row) if row.resource == input.action.resource

same(row) if row.digest == input.action.digest
