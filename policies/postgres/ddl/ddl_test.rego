package holdpoint.policies.postgres.ddl_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.ddl

at(time, statement) := object.union(
	testing.postgres("production", [statement]),
	{"context": {"time": time, "source": {"address": "127.0.0.1"}}},
)

found(given) := result if {
	result := {[f.code, f.effect] | some f in ddl.findings} with input as given
}

# A Thursday, and the Friday after it.
thursday := "2026-01-01T09:00:00Z"

friday := "2026-01-02T09:00:00Z"

test_outside_of_windows_it_is_blocked if {
	every kind in ["drop", "truncate", "alter", "reindex", "cluster", "import"] {
		every time in [friday, "2026-01-01T07:59:59.999999Z", "2026-01-01T16:00:00Z"] {
			found(at(time, testing.statement(kind, {}))) == {["outside-window", "block"], ["definition", "hold"]}
		}
	}
}

test_within_one_it_is_held if {
	every kind in ["drop", "truncate", "alter"] {
		every time in [thursday, "2026-01-01T08:00:00Z", "2026-01-01T15:59:59.999999Z"] {
			found(at(time, testing.statement(kind, {}))) == {["definition", "hold"]}
		}
	}
}

test_what_only_adds_is_held_at_any_time if {
	every kind in ["create", "comment", "refresh"] {
		found(at(friday, testing.statement(kind, {}))) == {["definition", "hold"]}
	}
}

test_wherever_it_stands if {
	every within in ["function", "explain_analyze", "prepare", "execute"] {
		found(at(friday, testing.statement("truncate", {"within": within}))) == {["outside-window", "block"], ["definition", "hold"]}
	}
}

test_some_things_are_never_dropped if {
	every type in ["database", "SCHEMA", "extension"] {
		dropped := testing.statement("drop", {"objects": [{"type": type, "schema": null, "name": "crm"}]})
		found(at(thursday, dropped)) == {["never-dropped", "block"], ["definition", "hold"]}
	}
	every kind in ["alter", "comment"] {
		database := testing.statement(kind, {"objects": [{"type": "database", "schema": null, "name": "crm"}]})
		found(at(thursday, database)) == {["definition", "hold"]}
	}
	table := testing.statement("drop", {"objects": [{"type": "table", "schema": null, "name": "database"}]})
	found(at(thursday, table)) == {["definition", "hold"]}
}

test_a_target_has_its_own_windows if {
	every row in [
		[[{"days": ["fri"], "from": 0, "to": 24}], {["definition", "hold"]}],
		[[], {["outside-window", "block"], ["definition", "hold"]}],
		[[{"day": ["fri"], "from": 0, "to": 24}], {["outside-window", "block"], ["definition", "hold"]}],
	] {
		[windows, expected] := row
		found(at(friday, testing.statement("drop", {}))) == expected
			with data.holdpoint.config.policies["postgres.ddl"].windows as {"*": [], "crm": windows}
	}
}

test_what_is_blocked_is_not_prepared_either if {
	given := testing.prepared(at(friday, testing.statement("drop", {})))
	found(given) == {["outside-window", "block"], ["definition", "allow"]}
}

test_rows_and_other_environments_are_not_its_business if {
	every kind in ["delete", "select", "grant"] {
		found(at(friday, testing.statement(kind, {}))) == set()
	}
	found(testing.postgres("dev", [testing.statement("drop", {})])) == set()
}
