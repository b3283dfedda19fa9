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
	testing.codes(governed_columns.findings) == {"values-masked", "columns-masked"} with input as testing.connection("production")
}

# A view gives columns any name, and the text does not tell what is a view.
test_all_are_masked_where_anything_is_read if {
	every statement in [
		testing.select("customers", ["id", "Email"], {}),
		testing.select("customer_view", ["contact"], {"within": "cte"}),
		testing.select("crm.orders", ["id"], {"columns": {"read": []}}),
		testing.select("pg_mine", ["contact"], {}),
		testing.select("PG_CLASS", ["relname"], {}),
		testing.select("public.pg_class", ["relname"], {}),
		testing.statement("delete", {"columns": {"read": [testing.column("customers.Email")]}}),
		testing.statement("select", {"columns": {"read": [testing.column("email")]}}),
	] {
		keys([{}, statement]) == every_key
	}
}

test_none_are_masked_where_there_are_none if {
	every statement in [
		testing.statement("select", {"functions": [testing.named("count")]}),
		testing.select("pg_catalog.pg_class", ["relname"], {}),
		testing.select("pg_class", ["relname", "*"], {}),
		testing.select("information_schema.columns", ["column_name"], {}),
		testing.statement("insert", {"writes": [testing.named("pg_catalog.pg_class")]}),
		testing.statement("set", {}), testing.statement("begin", {}), testing.statement("listen", {}),
	] {
		keys([{}, statement]) == {}
	}
	hidden := testing.with_facts(testing.postgres("dev", [testing.select("pg_class", ["relname"], {})]), {"search_path": "mine, pg_catalog"})
	testing.codes(governed_columns.findings) == {"values-masked", "columns-masked"} with input as hidden
}

test_none_are_asked_for_where_data_governs_none if {
	given := testing.postgres("dev", [testing.select("customers", ["email", "*"], {"unknown": ["function"]})])
	testing.codes(governed_columns.findings) == {"values-masked"} with input as given with data.holdpoint.config.postgres.governed as {"*": {"*": []}}
}

# PostgreSQL's errors quote rows: "Failing row contains (…)".
test_errors_quote_what_is_changed if {
	every statement in [
		testing.statement("update", {"writes": [testing.named("customers")], "columns": {"written": [testing.column("customers.email")]}}),
		testing.statement("copy", {"writes": [testing.named("orders")]}),
		testing.statement("create", {"objects": [{"type": "index", "schema": null, "name": "x"}]}),
		testing.statement("alter", {}), testing.statement("commit", {}), testing.statement("constraints", {}),
	] {
		keys([{}, statement]) == every_key
	}
}

test_data_names_relations_without_any if {
	every row in [
		["products", {"*": [], "crm": ["products"]}, {}],
		["products", {"*": ["Products"]}, {}],
		["products", {"hr": ["products"]}, every_key],
		["public.products", {"crm": ["products"]}, every_key],
	] {
		[relation, ungoverned, expected] := row
		keys([testing.select(relation, ["name"], {})]) == expected with data.holdpoint.config.postgres.ungoverned as ungoverned
	}
	both := [testing.select("products", ["name"], {}), testing.select("orders", ["id"], {})]
	keys(both) == every_key with data.holdpoint.config.postgres.ungoverned as {"crm": ["products"]}
}

test_whatever_can_not_be_told_is_all_of_them if {
	every statement in [
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
	keys([testing.select("customers", ["email", "name", "ssn"], {})]) == {"partial": ["email"], "hash": ["body", "name", "ssn"]}
		with data.holdpoint.config.policies["postgres.governed_columns"].operators as {"*": "hash", "email": "partial"}
	every statement in [testing.select("customers", ["*"], {}), {}] {
		count(governed_columns.findings) == 0 with input as testing.postgres("dev", [statement])
			with data.holdpoint.config.policies["postgres.governed_columns"].unmasked_targets as ["crm"]
	}
}
