package holdpoint.policies.any.unusual_hours_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.unusual_hours

active(hours) := [n | some hour in numbers.range(0, 23); n := {true: 1, false: 0}[hour in hours]]

at(time, days, hours) := object.union(
	testing.with_history({"principal": {"hours": {"days": days, "active": active(hours)}}}),
	{"context": {"time": time, "source": {"address": "127.0.0.1"}}},
)

codes := testing.codes(unusual_hours.findings)

test_an_hour_that_was_never_seen if {
	codes == {"history-unusual-hour"} with input as at("2026-01-01T03:10:00Z", 7, {8, 9})
	codes == set() with input as at("2026-01-01T09:59:59.999999Z", 7, {8, 9})
}

test_nothing_is_unusual_in_the_first_days if {
	codes == set() with input as at("2026-01-01T03:10:00Z", 6, {8, 9})
}
