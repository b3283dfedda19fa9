package holdpoint.policies.any.unknown_history_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.unknown_history

test_known_figures_are_no_finding if {
	count(unknown_history.findings) == 0 with input as testing.http("production", {})
}

test_unknown_ones_are if {
	testing.codes(unknown_history.findings) == {"history-unknown"} with input as testing.unknown_history
	testing.codes(unknown_history.findings) == {"history-unknown"} with input as object.remove(testing.unknown_history, ["history"])
}
