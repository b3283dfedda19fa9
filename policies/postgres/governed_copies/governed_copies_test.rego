package holdpoint.policies.postgres.governed_copies_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.governed_copies

found(statement) := result if {
	result := {[f.code, f.effect] | some f in governed_copies.findings} with input as testing.postgres("dev", [{}, statement])
		with data.holdpoint.config.postgres.governed as {"*": {"*": ["ssn"]}, "crm": {"customers": ["email"]}}
}

held := {["governed-copy", "hold"]}

changing(kind, written, read) := testing.statement(kind, {"columns": {
	"read": [testing.column(name) | some name in read],
	"written": [testing.column(name) | some name in written],
}})

test_whatever_is_made_of_them_is_held if {
	every within in ["create", "function", "insert", "rule", "view"] {
		found(testing.select("customers", ["email"], {"within": within})) == held
		found(testing.select("customers", ["*"], {"within": within})) == held
		found(testing.select("people", ["ssn"], {"within": within})) == held
		found(testing.select("customers", ["id"], {"within": within})) == set()
	}
}

test_what_is_prepared_is_made_of_too if {
	statements := [testing.statement("create", {}), testing.statement("execute", {"within": "create"})]
	read := testing.select("people", ["ssn"], {"within": "execute"})
	testing.codes(governed_copies.findings) == {"governed-copy"} with input as testing.postgres("dev", array.concat(statements, [read]))
	elsewhere := array.concat(statements, [testing.select("people", ["ssn"], {})])
	of_another := [testing.select("orders", ["id"], {"within": "create"}), testing.statement("execute", {}), read]
	every given in [elsewhere, of_another] {
		count(governed_copies.findings) == 0 with input as testing.postgres("dev", given)
	}
}

altered(column, action) := testing.statement("alter", {
	"action": [action],
	"objects": [{"type": "table", "schema": null, "name": "x"}, {"type": "column", "schema": null, "name": column}],
})

test_names_stay if {
	every column in ["customers.Email", "people.ssn"] {
		found(altered(column, "rename_column")) == {["governed-rename", "hold"]}
		found(altered(column, "drop_column")) == set()
	}
	found(altered("customers.id", "rename_column")) == set()
}

test_other_columns_do_not_take_them_up if {
	every kind in ["update", "insert", "merge"] {
		found(changing(kind, ["customers.note"], ["customers.email"])) == held
		found(changing(kind, ["customers.email", "customers.note"], ["customers.EMAIL"])) == held
		found(changing(kind, ["customers.email"], ["customers.email"])) == set()
		found(changing(kind, ["customers.note"], ["customers.id"])) == set()
	}
}

trigger(written, read) := object.union(
	changing("create", written, read),
	{"objects": [{"type": "trigger", "schema": null, "name": "t"}, {"type": "table", "schema": null, "name": "customers"}]},
)

test_no_trigger_is_told_of_them if {
	every written in [[], ["customers.note"], ["customers.email"]] {
		found(trigger(written, ["customers.id", "customers.Email"])) == held
		found(trigger(written, ["customers.id"])) == set()
	}
}

filling(column, action, members) := testing.statement("alter", object.union(
	{
		"action": ["column_default", action],
		"objects": [{"type": "table", "schema": null, "name": "customers"}, {"type": "column", "schema": null, "name": column}],
	},
	members,
))

test_no_column_is_filled_with_them if {
	of_email := {"columns": {"read": [testing.column("customers.email")]}}
	every action in ["alter_column_type", "drop_expression", "set_expression"] {
		found(filling("customers.note", action, of_email)) == held
		found(filling("customers.Email", action, of_email)) == set()
		found(filling("customers.note", action, {"columns": {"read": [testing.column("customers.id")]}})) == set()
		found(filling("customers.note", action, {"unknown": ["definition"]})) == {["unread-copy", "hold"]}
		found(filling("customers.email", action, {"unknown": ["definition"]})) == set()
	}
	found(filling("customers.note", "set_not_null", of_email)) == set()
	found(testing.statement("alter", object.union({"action": ["add_column"]}, of_email))) == held
	found(testing.statement("alter", object.union({"action": ["add_constraint"]}, of_email))) == set()
}

test_what_nobody_knows_is_not_stored_where_a_target_has_governed_columns if {
	unknown := {"functions": [testing.named("email_of")], "unknown": ["function"]}
	every statement in [
		testing.statement("insert", object.union(unknown, {"columns": {"written": [testing.column("notes.x")]}})),
		testing.statement("select", object.union(unknown, {"within": "create"})),
		testing.statement("select", object.union(unknown, {"within": "insert"})),
	] {
		found(statement) == {["unread-copy", "hold"]}
		found(statement) == set() with data.holdpoint.config.postgres.trusted_functions as ["email_of"]
		count(governed_copies.findings) == 0 with input as testing.postgres("dev", [statement])
	}
	every statement in [testing.statement("select", unknown), testing.statement("select", object.union(unknown, {"within": "view"}))] {
		found(statement) == set()
	}
	numbered := {"functions": [testing.named("nextval")], "within": "insert"}
	found(testing.statement("select", numbered)) == set()
}

test_what_nobody_can_look_into_is_not_stored_where_a_target_has_governed_columns if {
	every within in ["create", "function", "insert", "rule", "view"] {
		statement := testing.select("secretive", ["a"], {"within": within, "unknown": ["definition"]})
		found(statement) == {["unread-copy", "hold"]}
		count(governed_copies.findings) == 0 with input as testing.postgres("dev", [statement])
	}
	found(testing.select("secretive", ["a"], {"unknown": ["definition"]})) == set()
}

test_reading_is_not_copying if {
	every within in [null, "cte", "copy", "declare", "explain_analyze"] {
		found(testing.select("customers", ["email"], {"within": within})) == set()
	}
}

test_a_sequence_or_a_notification_is_a_copy if {
	every name in ["setval", "pg_notify"] {
		calls := {"functions": [testing.named(name)]}
		found(testing.select("customers", ["email"], calls)) == {["governed-copy", "hold"]}
		found(testing.select("customers", ["city"], calls)) == set()
	}
}
