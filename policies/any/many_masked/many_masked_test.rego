package holdpoint.policies.any.many_masked_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.many_masked

given(lane, kind, n) := testing.with_history({"principal": {"masked": {lane: {kind: {"minute": 0, "hour": n, "day": n}}}}})

effects := {f.effect | some f in many_masked.findings}

test_thresholds if {
	every row in [
		["response", "card", 499, set()],
		["response", "card", 500, {"hold"}],
		["response", "email", 5000, {"block"}],
		["request", "aws-key", 50, {"hold"}],
		["request", "aws-key", 499, {"hold"}],
	] {
		[lane, kind, n, expected] := row
		effects == expected with input as given(lane, kind, n)
	}
}

test_a_kind_has_its_own if {
	own := {"card": {"hold_at": 0, "block_at": 3}, "*": {"hold_at": 9, "block_at": 0}}
	effects == {"block"} with input as given("response", "card", 3)
		with data.holdpoint.config.policies["any.many_masked"].response as own
	effects == {"hold"} with input as given("response", "iban", 90000)
		with data.holdpoint.config.policies["any.many_masked"].response as own
	effects == set() with input as given("response", "card", 2)
		with data.holdpoint.config.policies["any.many_masked"].response as own
}
