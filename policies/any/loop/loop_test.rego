package holdpoint.policies.any.loop_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.loop

row(changed) := object.union(
	{"count": 5, "verb": "GET", "resource": "/", "code": "sensitive-path", "digest": "x"},
	changed,
)

given(changed) := testing.with_history({"target": {"repeated": [row(changed)]}})

test_a_repeated_refusal_is_told_to_stop if {
	every changed in [{}, {"count": 99}, {"resource": "/masked", "digest": "d"}] {
		testing.codes(loop.findings) == {"history-loop"} with input as given(changed)
	}
}

test_another_action_and_the_first_tries_are_not if {
	every changed in [{"count": 4}, {"verb": "POST"}, {"resource": "/other"}] {
		count(loop.findings) == 0 with input as given(changed)
	}
	count(loop.findings) == 0 with input as testing.http("production", {})
}
