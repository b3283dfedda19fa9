package holdpoint.policies.postgres.complete_facts_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.complete_facts

found(given) := result if {
	result := {[f.code, f.effect] | some f in complete_facts.findings} with input as given
}

with_unknown(environment, word, members) := testing.with_facts(
	testing.postgres(environment, [{}, object.union({"kind": "do", "unknown": [word]}, members)]),
	{"complete": false},
)

incomplete := {["incomplete-facts", "block"]}

test_whole_statements_and_connections_pass if {
	found(testing.postgres("production", [testing.select("orders", ["id"], {}), testing.statement("delete", {"where": "some"})])) == set()
	found(testing.connection("production")) == set()
}

test_a_missing_fact_blocks if {
	given := testing.postgres("production", [{}])
	every name in ["phase", "statements", "complete"] {
		found(json.remove(given, [sprintf("action/facts/%s", [name])])) == incomplete
	}
	every name in object.keys(testing.statement("select", {})) {
		found(json.remove(given, [sprintf("action/facts/statements/0/%s", [name])])) == incomplete
	}
	every name in ["read", "written", "filtered", "sorted", "grouped", "joined"] {
		found(json.remove(given, [sprintf("action/facts/statements/0/columns/%s", [name])])) == incomplete
	}
}

test_a_fact_of_another_type_blocks if {
	every members in [
		{"functions": "lower"}, {"reads": null}, {"where": "all"}, {"locks": null}, {"columns": {"read": null}},
	] {
		found(testing.postgres("production", [members])) == incomplete
	}
	found(testing.with_facts(testing.postgres("production", [{}]), {"statements": []})) == incomplete
	found(testing.with_facts(testing.postgres("production", [{}]), {"phase": "bind"})) == incomplete
	found(testing.with_facts(testing.postgres("production", [{}]), {"complete": false})) == incomplete
}

test_a_connection_is_what_opens_one if {
	opening := testing.connection("dev")
	every given in [
		object.union(opening, {"action": {"verb": "SCRIPT"}}),
		testing.with_facts(opening, {"phase": "execute"}),
		json.remove(opening, ["action/facts/phase"]),
	] {
		found(given) == incomplete
	}
}

test_what_nobody_can_tell_is_blocked if {
	every word in ["prepared-statement", "cursor", "node", "brand-new"] {
		every environment in ["production", "dev"] {
			found(with_unknown(environment, word, {})) == {["unknown-meaning", "block"]}
		}
	}
	found(with_unknown("production", "dynamic-sql", {})) == {["unknown-meaning", "block"]}
	found(testing.prepared(with_unknown("production", "dynamic-sql", {}))) == {["unknown-meaning", "block"]}
}

test_where_a_cursor_stands_is_blocked_in_production if {
	given := with_unknown("production", "cursor-position", {})
	found(given) == {["unknown-meaning", "block"]}
	some finding in complete_facts.findings with input as given
	contains(finding.message, "by its key")
}

test_what_a_person_can_read_is_held if {
	every row in [
		["production", "function-body"], ["production", "catalogue"], ["production", "definition"],
		["dev", "function-body"], ["dev", "dynamic-sql"],
	] {
		[environment, word] := row
		found(with_unknown(environment, word, {})) == {[word, "hold"]}
		found(testing.prepared(with_unknown(environment, word, {}))) == {[word, "allow"]}
	}
}

test_what_does_not_matter_or_is_judged_elsewhere_is_not_said if {
	every word in ["catalogue", "cursor-position", "definition"] {
		found(with_unknown("dev", word, {})) == set()
	}
	every kind in ["select", "insert", "create"] {
		found(with_unknown("production", "function", {"kind": kind})) == set()
	}
	found(with_unknown("production", "setting", {"settings": [{"name": null, "value": null, "local": false}]})) == set()
	every kind in ["analyze", "constraints", "vacuum"] {
		found(with_unknown("production", "catalogue", {"kind": kind})) == set()
	}
	found(with_unknown("production", "function", {"kind": "vacuum"})) == {["unknown-meaning", "block"]}
	found(with_unknown("production", "setting", {})) == {["unknown-meaning", "block"]}
}

test_what_a_connection_sets_is_read if {
	opening := testing.connection("production")
	found(testing.with_facts(opening, {"statements": [testing.set("timezone", "UTC")]})) == set()
	every statements in [null, {}, [{"kind": "set"}]] {
		found(testing.with_facts(opening, {"statements": statements})) == {["incomplete-facts", "block"]}
	}
}

test_names_mean_nothing_without_a_search_path if {
	lost := {"search_path": null, "complete": false}
	every statement in [
		testing.select("orders", ["id"], {}),
		testing.statement("delete", {"writes": [testing.named("orders")], "where": "some"}),
		testing.statement("select", {"functions": [testing.named("lower")]}),
		testing.statement("drop", {"objects": [{"type": "table", "schema": null, "name": "orders"}]}),
	] {
		found(testing.with_facts(testing.postgres("dev", [{}, statement]), lost)) == {["unknown-search-path", "block"]}
	}
	every statement in [testing.set("search_path", "public"), testing.statement("rollback", {}), {}] {
		found(testing.with_facts(testing.postgres("dev", [statement]), lost)) == set()
	}
}
