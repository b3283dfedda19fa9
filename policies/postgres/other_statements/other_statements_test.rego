package holdpoint.policies.postgres.other_statements_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.other_statements

found(environment, kind) := result if {
	given := testing.postgres(environment, [{}, testing.statement(kind, {})])
	result := {[f.code, f.effect] | some f in other_statements.findings} with input as given
}

test_what_nobody_judges_is_blocked_everywhere if {
	every environment in ["production", "dev"] {
		every kind in ["checkpoint", "other", "SELECT", "selekt", ""] {
			found(environment, kind) == {["other-statement", "block"]}
		}
	}
}

test_maintenance_is_held if {
	every kind in ["vacuum", "analyze"] {
		found("production", kind) == {["maintenance", "hold"]}
	}
}

test_data_may_hold_what_others_judge if {
	found("dev", "notify") == {["maintenance", "hold"]}
		with data.holdpoint.config.policies["postgres.other_statements"].held as ["notify"]
}

test_what_others_judge_is_not_its_business if {
	every kind in ["select", "insert", "drop", "listen", "notify", "set", "grant", "reassign", "load", "do", "call"] {
		found("production", kind) == set()
	}
}
