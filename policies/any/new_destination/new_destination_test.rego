package holdpoint.policies.any.new_destination_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.new_destination

days(n) := {"hours": {"days": n, "active": []}}

unexpected(n) := testing.with_history({"principal": {"unexpected_destinations": {"minute": 0, "hour": n, "day": n}}})

found := {[f.code, f.effect] | some f in new_destination.findings}

test_a_first_time_after_days_of_others if {
	found == {["history-new-destination", "hold"]} with input as testing.with_history({"principal": days(5)})
	found == set() with input as testing.with_history({"principal": days(4)})
	used := {"principal": days(9), "target": {"first_granted": "2026-01-01T00:00:00Z"}}
	found == set() with input as testing.with_history(used)
}

test_asking_for_what_is_no_target if {
	found == set() with input as unexpected(4)
	found == {["history-unexpected-destinations", "hold"]} with input as unexpected(5)
	found == {["history-unexpected-destinations", "block"]} with input as unexpected(50)
}
