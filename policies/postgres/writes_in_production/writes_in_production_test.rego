package holdpoint.policies.postgres.writes_in_production_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.writes_in_production

writing(kind, table) := testing.statement(kind, {"writes": [testing.named(table)], "where": "some"})

found(statements) := result if {
	result := {[f.code, f.effect] | some f in writes_in_production.findings} with input as testing.postgres(
		"production",
		statements,
	)
}

groups(statements) := result if {
	result := {f.approval.group | some f in writes_in_production.findings} with input as testing.postgres(
		"production",
		statements,
	)
}

test_writes_are_held if {
	every kind in ["insert", "update", "delete", "merge", "lock", "notify"] {
		found([testing.statement("begin", {}), writing(kind, "crm.orders")]) == {["write", "hold"]}
		groups([writing(kind, "crm.orders")]) == {"operators"}
	}
}

test_writes_within_others_are_held if {
	every within in ["cte", "explain_analyze", "prepare", "execute", "copy", "declare", "function"] {
		nested := object.union(writing("delete", "orders"), {"within": within})
		found([testing.select("orders", ["id"], {}), nested]) == {["write", "hold"]}
	}
}

test_what_may_write_is_held if {
	found([testing.statement("select", {"functions": [testing.named("close_account")]})]) == {["unknown-function", "hold"]}
	found([testing.statement("call", {"functions": [testing.named("crm.close_account")]})]) == {["unknown-function", "hold"]}
	found([testing.statement("copy", {"functions": [testing.named("f")]})]) == {["unknown-function", "hold"]}
	found([testing.statement("select", {"locks": true})]) == {["write", "hold"]}
	found([testing.statement("select", {"writes": [testing.named("copied")]})]) == {["write", "hold"]}
	found([testing.statement("do", {})]) == {["write", "hold"]}
}

test_money_is_for_finance_on_every_target if {
	every table in ["refunds", "crm.Payments", "order_refunds", "wireTransfers"] {
		found([writing("insert", table)]) == {["money", "hold"]}
		groups([writing("insert", table)]) == {"finance"} with data.holdpoint.config.targets.crm as {"approval_group": "crm-owners"}
	}
	found([testing.select("payments", ["id"], {})]) == set()
	with_function := object.union(writing("insert", "refunds"), {"functions": [testing.named("f")]})
	found([with_function]) == {["money", "hold"]}
}

test_a_target_names_its_own_approvers if {
	groups([writing("insert", "orders")]) == {"crm-owners"} with data.holdpoint.config.targets.crm as {"approval_group": "crm-owners"}
}

test_preparing_runs_nothing if {
	given := testing.prepared(testing.postgres("production", [writing("insert", "orders")]))
	{[f.code, f.effect] | some f in writes_in_production.findings} == {["write", "allow"]} with input as given
}

test_outside_production_nothing_is_found if {
	count(writes_in_production.findings) == 0 with input as testing.postgres("dev", [writing("insert", "refunds")])
}
