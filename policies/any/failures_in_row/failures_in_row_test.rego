package holdpoint.policies.any.failures_in_row_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.failures_in_row

given(n) := testing.with_history({"target": {"failures_in_a_row": n}})

effects := {f.effect | some f in failures_in_row.findings}

test_thresholds if {
	effects == set() with input as given(19)
	effects == {"hold"} with input as given(20)
	effects == {"block"} with input as given(100)
	effects == {"block"} with input as given(3)
		with data.holdpoint.config.policies["any.failures_in_row"].failures as {"crm": {"block_at": 3}, "*": {}}
}
