package holdpoint.lib.postgres_test

import data.holdpoint.lib.postgres
import data.holdpoint.lib.testing

test_names_mean_what_they_may if {
	every row in [
		["customers", "customers", true],
		["customers", "CUSTOMERS", true],
		["Customers", "crm.customers", true],
		["crm.customers", "CRM.Customers", true],
		["crm.customers", "customers", true],
		["crm.customers", "old.customers", false],
		["customers", "customers2", false],
		["crm.customers", "crm.orders", false],
		["crm.my_customers", "customers", false],
	] {
		[wanted, text, expected] := row
		[true | postgres.names(wanted, testing.named(text))] == [true | expected == true]
	}
}

test_what_statements_do if {
	every row in [
		["select", {}, "read"],
		["select", {"locks": true}, "write"],
		["select", {"functions": [testing.named("f")]}, "write"],
		["select", {"within": "explain", "locks": true}, "read"],
		["copy", {"copy": {"direction": "out", "place": "client", "name": null}}, "read"],
		["copy", {"copy": {"direction": "in", "place": "client", "name": null}}, "write"],
		["copy", {}, "write"],
		["copy", {"functions": [testing.named("f")], "copy": {"direction": "out", "place": "client", "name": null}}, "write"],
		["fetch", {"functions": [testing.named("f")]}, "write"],
		["select", {"functions": [testing.named("information_schema._pg_expandarray")]}, "read"],
		["select", {"functions": [testing.named("information_schema.f")]}, "write"],
		["select", {"functions": [testing.named("crm._pg_expandarray")]}, "write"],
		["delete", {}, "write"],
		["delete", {"within": "explain"}, "read"],
		["delete", {"within": "explain", "functions": [testing.named("f")]}, "write"],
		["delete", {"within": "explain_analyze"}, "write"],
		["create", {}, "define"],
		["create", {"within": "explain"}, "read"],
		["truncate", {"within": "function"}, "define"],
	] {
		[kind, members, expected] := row
		postgres.doing(testing.statement(kind, members)) == expected with input as testing.postgres("dev", [{}])
	}
	every row in [["commit", ["prepared"]], ["rollback", ["prepared"]], ["other", ["prepare_transaction"]]] {
		[kind, action] := row
		not postgres.doing(testing.statement(kind, {"action": action})) with input as testing.postgres("dev", [{}])
	}
	every kind in ["grant", "vacuum", "checkpoint", "load", "other", "Select"] {
		not postgres.doing(testing.statement(kind, {"within": "explain"})) with input as testing.postgres("dev", [{}])
		not postgres.doing(testing.statement(kind, {})) with input as testing.postgres("dev", [{}])
	}
}

test_discarding_keeps_the_role if {
	taken_on := testing.with_facts(testing.postgres("dev", [{}]), {"user": "login", "role": "reader"})
	every action in ["plans", "temp", "sequences"] {
		postgres.doing(testing.statement("discard", {"action": [action]})) == "read" with input as taken_on
	}
	everything := testing.statement("discard", {"action": ["all"]})
	not postgres.doing(everything) with input as taken_on
	postgres.doing(everything) == "read" with input as testing.postgres("dev", [{}])
}

test_a_hold_lets_prepare if {
	statement := testing.postgres("dev", [{}])
	approval := {"group": "operators"}
	held := {"code": "c", "effect": "hold", "message": "m", "approval": approval}
	postgres.held("c", "m", approval) == held with input as statement
	told := {"code": "c", "effect": "allow", "message": "Preparing runs nothing. When executed: m"}
	postgres.held("c", "m", approval) == told with input as testing.prepared(statement)
}
