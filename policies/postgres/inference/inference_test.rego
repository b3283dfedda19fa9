package holdpoint.policies.postgres.inference_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.inference

found_in(environment, place, column) := result if {
	statement := testing.select("customers", ["id"], {"columns": {place: [testing.column(column)]}, "where": "some", "within": "explain"})
	result := {[f.code, f.effect] | some f in inference.findings} with input as testing.postgres(environment, [{}, statement])
		with data.holdpoint.config.postgres.governed as {"*": {"*": ["ssn"]}, "crm": {"customers": ["email"]}}
}

test_governed_columns_are_not_asked_for_in_other_ways if {
	every place in ["filtered", "sorted", "grouped", "joined"] {
		every column in ["customers.email", "crm.customers.EMAIL", "email", "people.ssn"] {
			found_in("production", place, column) == {["inference", "hold"]}
			found_in("dev", place, column) == set()
		}
		found_in("production", place, "customers.id") == set()
		found_in("production", place, "orders.email") == set()
	}
}

test_rows_may_be_looked_up_by_what_data_names if {
	every row in [["filtered", set()], ["sorted", {["inference", "hold"]}], ["joined", {["inference", "hold"]}]] {
		[place, expected] := row
		found_in("production", place, "customers.email") == expected
			with data.holdpoint.config.postgres.lookups as {"*": [], "crm": ["Email"]}
		found_in("production", place, "customers.email") == {["inference", "hold"]}
			with data.holdpoint.config.postgres.lookups as {"*": [], "hr": ["email"]}
	}
}
