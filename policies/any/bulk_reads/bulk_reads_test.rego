package holdpoint.policies.any.bulk_reads_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.bulk_reads

bytes(n) := testing.with_history({"target": {"bytes": {"response": {"minute": 0, "hour": n, "day": n}}}})

rows(n) := testing.with_history({"target": {"rows": {"minute": 0, "hour": n, "day": n}}})

effects := {[f.code, f.effect] | some f in bulk_reads.findings}

test_thresholds if {
	effects == set() with input as bytes(268435455)
	effects == {["history-bulk-bytes", "hold"]} with input as bytes(268435456)
	effects == {["history-bulk-bytes", "block"]} with input as bytes(2147483648)
	effects == {["history-bulk-rows", "hold"]} with input as rows(900000)
	effects == set() with input as testing.http("production", {})
}

test_a_target_has_its_own if {
	effects == {["history-bulk-bytes", "block"]} with input as bytes(10)
		with data.holdpoint.config.policies["any.bulk_reads"].bytes as {"crm": {"block_at": 10}, "*": {}}
	effects == set() with input as bytes(9)
		with data.holdpoint.config.policies["any.bulk_reads"].bytes as {"crm": {"block_at": 10}, "*": {"block_at": 1}}
}
