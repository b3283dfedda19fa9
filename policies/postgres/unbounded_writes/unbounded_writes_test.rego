package holdpoint.policies.postgres.unbounded_writes_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.unbounded_writes

found(given) := result if {
	result := {[f.code, f.effect] | some f in unbounded_writes.findings} with input as given
}

test_every_row_is_blocked_in_production_and_held_elsewhere if {
	every kind in ["delete", "update", "merge"] {
		every where in ["none", "always", null] {
			statement := testing.statement(kind, {"where": where})
			code := sprintf("unbounded-%s", [kind])
			found(testing.postgres("production", [statement])) == {[code, "block"]}
			found(testing.postgres("dev", [statement])) == {[code, "hold"]}
		}
	}
}

test_wherever_it_stands if {
	every within in ["cte", "explain_analyze", "prepare", "execute", "copy", "function", "rule"] {
		nested := testing.statement("delete", {"where": "none", "within": within})
		found(testing.postgres("production", [{}, nested])) == {["unbounded-delete", "block"]}
		found(testing.prepared(testing.postgres("production", [{}, nested]))) == {["unbounded-delete", "block"]}
	}
}

test_some_rows_and_plans_are_left_alone if {
	every statement in [
		testing.statement("delete", {"where": "some"}),
		testing.statement("delete", {"where": "none", "within": "explain"}),
		testing.statement("insert", {}),
		testing.select("orders", ["id"], {}),
	] {
		every environment in ["production", "dev"] {
			found(testing.postgres(environment, [statement])) == set()
		}
	}
}

test_data_may_let_it_pass_outside_production if {
	every row in [["dev", set()], ["production", {["unbounded-delete", "block"]}]] {
		[environment, expected] := row
		found(testing.postgres(environment, [testing.statement("delete", {"where": "none"})])) == expected
			with data.holdpoint.config.policies["postgres.unbounded_writes"].hold_nonproduction as false
	}
}
