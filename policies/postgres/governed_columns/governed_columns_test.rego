package holdpoint.policies.postgres.governed_columns_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.governed_columns

governed := {"*": {"*": ["ssn"]}, "crm": {"customers": ["email", "name"], "crm.notes": ["body"]}, "hr": {"people": ["pay"]}}

# Keys by operator.
keys(statements) := result if {
	result := {f.mask.operator: f.mask.keys | some f in governed_columns.findings; f.mask.keys} with input as testing.postgres(
		"dev",
		statements,
	)
		with data.holdpoint.config.postgres.governed as governed
}

every_key := {"redact": ["body", "email", "name", "ssn"]}

test_values_are_masked_in_every_result if {
	given := testing.postgres("production", [{}])
	[[f.code, f.effect, f.mask.kinds, f.mask.operator, f.mask.lanes] | some f in governed_columns.findings] == [[
		"values-masked", "mask", ["secret", "financial", "identity"], "redact", ["response"],
	]] with input as given
	{"jwt", "birth-date"} - {kind | some f in governed_columns.findings; some kind in f.mask.except} == set() with input as given
	testing.codes(governed_columns.findings) == {"values-masked", "columns-masked"} with input as testing.postgres(
		"production",
		[testing.select("people", ["ssn"], {})],
	)
	count(governed_columns.findings) == 0 with input as testing.connection("production")
}

test_columns_are_masked_that_are_read if {
	every row in [
		[testing.select("customers", ["id", "Email"], {}), {"redact": ["email"]}],
		[testing.select("crm.customers", ["ssn"], {"within": "cte"}), {"redact": ["ssn"]}],
		[testing.statement("delete", {"columns": {"read": [testing.column("customers.email")]}}), {"redact": ["email"]}],
		[testing.select("orders", ["id"], {}), {}],
		[testing.statement("select", {"functions": [testing.named("count")]}), {}],
		[testing.select("customers", ["id"], {"columns": {"filtered": [testing.column("customers.email")]}}), {}],
	] {
		[statement, expected] := row
		keys([{}, statement]) == expected
	}
}

# A view has another name than its tables, and a subquery none.
test_a_name_is_governed_wherever_it_is_read_from if {
	keys([testing.select("customer_view", ["email"], {})]) == {"redact": ["email"]}
	keys([testing.statement("select", {"columns": {"read": [testing.column("email")]}})]) == {"redact": ["email"]}
	keys([testing.select("products", ["name"], {})]) == {} with data.holdpoint.config.postgres.ungoverned as {"*": [], "crm": ["products"]}
	keys([testing.select("products", ["name"], {})]) == {"redact": ["name"]} with data.holdpoint.config.postgres.ungoverned as {"hr": ["products"]}
	keys([testing.select("public.products", ["name"], {})]) == {"redact": ["name"]}
		with data.holdpoint.config.postgres.ungoverned as {"*": [], "crm": ["products"]}
}

test_whatever_can_not_be_told_is_all_of_them if {
	every statement in [
		testing.select("anything", ["*"], {}),
		testing.statement("select", {"columns": {"read": [testing.column("*")]}}),
		testing.statement("call", {}),
		testing.statement("fetch", {"unknown": ["cursor"]}),
		testing.statement("select", {"unknown": ["function"]}),
	] {
		keys([{}, statement]) == every_key
	}
	keys([testing.select("pg_catalog.pg_class", ["*"], {})]) == {}
}

test_each_column_is_named if {
	testing.codes(governed_columns.findings) == {"values-masked", "governed-data"} with input as testing.postgres("dev", [{}])
		with data.holdpoint.config.postgres.governed as {"crm": {"customers": ["*"]}}
}

test_data_says_how if {
	keys([testing.select("customers", ["email", "name", "ssn"], {})]) == {"partial": ["email"], "hash": ["name", "ssn"]}
		with data.holdpoint.config.policies["postgres.governed_columns"].operators as {"*": "hash", "email": "partial"}
	every statement in [testing.select("customers", ["*"], {}), {}] {
		count(governed_columns.findings) == 0 with input as testing.postgres("dev", [statement])
			with data.holdpoint.config.policies["postgres.governed_columns"].unmasked_targets as ["crm"]
	}
}
