# METADATA
# scope: package
# title: Budgets
# description: A principal may do so many actions in a minute, an hour or a day. Counted exactly, over all workers, refused actions too.
# custom:
#   id: any.budget
#   severity: medium
#   mode: shadow
#   reads: [history.used]
#   reads_if: limits
package holdpoint.policies.any.budget

settings := data.holdpoint.config.policies["any.budget"]

findings contains finding if {
	some [budget, window] in spent
	finding := {
		"code": "history-budget-spent",
		"effect": "block",
		"message": sprintf("The budget for %s of the last %s is spent. Wait; what is refused counts too.", [budget, window]),
	}
}

spent contains ["this verb on this target", window] if {
	used := input.history.used.verb
	some verb, limit in of_target
	verb != "*"
	upper(verb) == upper(input.action.verb)
	some window, most in limit
	most > 0
	used[window] > most
}

spent contains ["this target", window] if {
	used := input.history.used.target
	some window, most in of_target["*"]
	most > 0
	used[window] > most
}

spent contains ["all targets together", window] if {
	used := input.history.used.all
	some window, most in settings.limits.all["*"]
	most > 0
	used[window] > most
}

of_target := object.get(settings.limits, input.target.name, settings.limits["*"])
