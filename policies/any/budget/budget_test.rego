package holdpoint.policies.any.budget_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.budget

used(verb, target, all) := {"used": {
	"verb": {"minute": verb, "hour": verb, "day": verb},
	"target": {"minute": target, "hour": target, "day": target},
	"all": {"minute": all, "hour": all, "day": all},
}}

given(n) := testing.with_history(used(n, n, n))

limits(changed) := object.union(data.holdpoint.config.policies["any.budget"].limits, changed)

test_without_limits_nothing_is_asked if {
	count(budget.findings) == 0 with input as given(1000000)
	count(budget.findings) == 0 with input as testing.http("production", {})
}

test_the_limit_itself_passes_and_one_more_does_not if {
	every changed in [
		{"crm": {"GET": {"hour": 10}}}, {"crm": {"get": {"minute": 10}}}, {"crm": {"*": {"day": 10}}},
		{"*": {"*": {"hour": 10}}}, {"*": {"GET": {"hour": 10}}}, {"all": {"*": {"hour": 10}}},
	] {
		count(budget.findings) == 0 with input as given(10)
			with data.holdpoint.config.policies["any.budget"].limits as limits(changed)
		testing.codes(budget.findings) == {"history-budget-spent"} with input as given(11)
			with data.holdpoint.config.policies["any.budget"].limits as limits(changed)
	}
}

test_a_budget_is_for_its_verb_and_target if {
	every changed in [{"crm": {"POST": {"hour": 10}}}, {"mail": {"*": {"hour": 10}}}, {"crm": {"GET": {"hour": 0}}}] {
		count(budget.findings) == 0 with input as given(11)
			with data.holdpoint.config.policies["any.budget"].limits as limits(changed)
	}
}
