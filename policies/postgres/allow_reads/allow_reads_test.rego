package holdpoint.policies.postgres.allow_reads_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.allow_reads

calls(name) := testing.statement("select", {"functions": [testing.named(name)]})

copy(direction) := testing.statement("copy", {"copy": {"direction": direction, "place": "client", "name": null}})

kind(name) := testing.statement(name, {})

allowed(statements) if {
	testing.codes(allow_reads.findings) == {"read"} with input as testing.postgres("production", statements)
}

test_what_changes_nothing_passes if {
	every statements in [
		[testing.select("orders", ["id"], {})],
		[kind("begin"), testing.select("orders", ["*"], {}), kind("commit")],
		[kind("show")],
		[kind("declare"), testing.select("orders", ["id"], {"within": "declare"})],
		[kind("explain"), testing.select("orders", ["id"], {"within": "explain"})],
		[kind("explain"), testing.statement("delete", {"within": "explain", "writes": [testing.named("orders")]})],
		[kind("prepare"), testing.select("orders", ["id"], {"within": "prepare"})],
		[copy("out"), testing.select("orders", ["id"], {"within": "copy"})],
		[calls("lower")],
		[calls("pg_catalog.count")],
		[kind("listen")],
		[kind("empty")],
		[testing.set("timezone", "UTC")],
	] {
		allowed(statements)
	}
}

test_every_statement_must if {
	every statements in [
		[],
		[kind("begin"), kind("insert"), kind("commit")],
		[testing.select("orders", ["id"], {}), testing.statement("delete", {"within": "cte"})],
		[kind("explain"), testing.statement("delete", {"within": "explain_analyze"})],
		[kind("explain"), testing.statement("delete", {"within": "cte"})],
		[copy("out"), testing.statement("delete", {"within": "copy"})],
		[copy("in")],
		[kind("execute"), testing.statement("update", {"within": "execute"})],
		[testing.select("orders", ["id"], {"writes": [testing.named("copied")]})],
		[testing.select("orders", ["id"], {"locks": true})],
		[kind("do")],
		[kind("call")],
		[kind("vacuum")],
		[kind("checkpoint")],
		[kind("grant")],
		[kind("SELECT")],
		[kind("other")],
	] {
		not allowed(statements)
	}
}

# A function of another schema, or of another spelling, is another function.
test_functions_that_nobody_knows_are_no_reads if {
	every name in ["close_account", "public.lower", "LOWER", "nextval", "pg_sleep", "pg_advisory_lock", "crm.total"] {
		not allowed([calls(name)])
	}
	not allowed([testing.statement("explain", {"functions": [testing.named("close_account")]})])
	not allowed([testing.statement("select", {"functions": [], "unknown": ["function"]})])
}

test_data_may_know_better if {
	every name in ["crm.total", "total"] {
		allowed([object.union(calls(name), {"unknown": ["function"]})])
			with data.holdpoint.config.postgres.trusted_functions as ["crm.total", "total"]
	}
	every function in [{"schema": null, "name": "crm.total"}, {"schema": "public", "name": "total"}] {
		not allowed([testing.statement("select", {"functions": [function]})])
			with data.holdpoint.config.postgres.trusted_functions as ["crm.total", "total"]
	}
}

test_a_search_path_may_hide_them if {
	every row in [
		["public", true], ["pg_catalog, public", true], ["", true], ["public, pg_catalog", false],
		["\"$user\", PG_CATALOG", false], ["pg_catalog, x, pg_catalog", false], [null, false],
	] {
		[path, expected] := row
		given := testing.with_facts(testing.postgres("production", [calls("lower")]), {"search_path": path})
		found := testing.codes(allow_reads.findings) with input as given
		found == {true: {"read"}, false: set()}[expected]
	}
}

test_connecting_is_not_reading if {
	count(allow_reads.findings) == 0 with input as testing.connection("production")
}
