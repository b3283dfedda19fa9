package holdpoint.policies.postgres.mass_reads_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.mass_reads

found_in(environment, statements) := result if {
	result := {[f.code, f.effect] | some f in mass_reads.findings} with input as testing.postgres(environment, statements)
		with data.holdpoint.config.postgres.governed as {"*": {"*": ["ssn"]}, "crm": {"customers": ["email"], "crm.notes": ["body"]}}
}

found(statements) := found_in("production", statements)

copy_out := testing.statement("copy", {
	"reads": [testing.named("customers")],
	"columns": {"read": [testing.column("customers.email")]},
	"copy": {"direction": "out", "place": "client", "name": null},
})

test_whole_tables_are_held if {
	every members in [
		{}, {"where": "always"}, {"where": null}, {"limit": 101}, {"where": "always", "limit": 1000}, {"within": "cte"},
		{"within": "copy"}, {"within": "declare"}, {"within": "prepare"}, {"within": "execute"},
		{"limit": 1, "functions": [testing.named("pg_catalog.STRING_AGG")]},
	] {
		every one in [["customers", "email"], ["crm.customers", "Email"], ["people", "ssn"], ["notes", "body"]] {
			[table, column] := one
			found([{}, testing.select(table, [column], members)]) == {["mass-read", "hold"]}
		}
	}
	found([copy_out]) == {["mass-read", "hold"]}
}

test_some_rows_and_other_columns_are_left_alone if {
	every statement in [
		testing.select("customers", ["email"], {"where": "some"}),
		testing.select("customers", ["email"], {"limit": 100}),
		testing.select("customers", ["id"], {}),
		testing.select("orders", ["email"], {}),
		testing.select("other.notes", ["body"], {}),
		testing.select("orders", ["*"], {}),
		testing.select("customers", ["email"], {"within": "explain"}),
	] {
		found([{}, statement]) == set()
	}
	found([object.union(copy_out, {"copy": {"direction": "in"}})]) == set()
	found([copy_out, testing.select("customers", ["email"], {"where": "some", "within": "copy"})]) == set()
}

test_a_star_over_them_is_blocked if {
	any_table := testing.statement("select", {
		"reads": [testing.named("orders"), testing.named("crm.customers")],
		"columns": {"read": [testing.column("*")]},
		"where": "some",
	})
	every statement in [testing.select("customers", ["id", "*"], {"where": "some"}), any_table] {
		found([statement]) == {["governed-star", "block"]}
		found([statement]) == set() with data.holdpoint.config.policies["postgres.mass_reads"].refuse_star as false
	}
}

test_elsewhere_nothing_is_found if {
	every statement in [testing.select("customers", ["*"], {}), copy_out] {
		found_in("dev", [statement]) == set()
	}
}
