# METADATA
# scope: package
# title: What the principal did lately
# description: |
#   Readings of `input.history`, the figures that the watcher makes of the journal, half a second old. The code of a
#   finding that follows from them starts with `history-`: such a refusal does not feed the figures that led to it.
#   A policy that reads them says so in its METADATA (`reads: [history]`): enforced, it blocks while nobody knows them.
package holdpoint.lib.history

# METADATA
# description: |
#   The effect of a figure that has reached one of two thresholds, {hold_at, block_at}; a threshold of 0, or one that is
#   not there, is never reached.
effect(n, thresholds) := "block" if {
	thresholds.block_at > 0
	n >= thresholds.block_at
} else := "hold" if {
	thresholds.hold_at > 0
	n >= thresholds.hold_at
}

# METADATA
# description: A finding of that effect; where it is a hold, `group` approves.
finding("block", code, message, _) := {"code": code, "effect": "block", "message": message}

finding("hold", code, message, group) := {
	"code": code,
	"effect": "hold",
	"message": message,
	"approval": {"group": group},
}
