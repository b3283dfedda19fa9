package holdpoint.policies.postgres.settings_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.settings

found(statements) := result if {
	result := testing.codes(settings.findings) with input as testing.postgres("dev", statements)
}

by_function(name, value) := testing.statement("select", {
	"functions": [testing.named("set_config")],
	"settings": [{"name": name, "value": value, "local": false}],
})

test_harmless_ones_are_set_by_whatever_means if {
	every name in ["timezone", "TimeZone", "application_name", "enable_seqscan", "search_path", "all", "jit"] {
		found([testing.set(name, "x")]) == set()
		found([testing.set(name, null)]) == set()
		found([by_function(name, null)]) == set()
	}
}

test_all_others_are_not if {
	every name in [
		"session_replication_role", "row_security", "role", "session_authorization", "app.tenant", "dynamic_library_path", "transform_null_equals",
		"backslash_quote", "local_preload_libraries", "log_statement", "", "enable", "xall",
	] {
		found([{}, testing.set(name, "on")]) == {"setting"}
		found([by_function(name, "on")]) == {"setting"}
	}
	found([by_function(null, "on")]) == {"setting"}
	found([testing.statement("create", {"settings": [{"name": "row_security", "value": "off", "local": false}]})]) == {"setting"}
}

test_what_statements_are_read_by_stays_as_it_is if {
	every row in [
		["client_encoding", "UTF8", set()], ["CLIENT_ENCODING", "unicode", set()], ["client_encoding", "LATIN1", {"setting"}],
		["client_encoding", null, {"setting"}], ["standard_conforming_strings", "on", set()],
		["standard_conforming_strings", "off", {"setting"}],
	] {
		[name, value, expected] := row
		found([testing.set(name, value)]) == expected
		found([by_function(name, value)]) == expected
	}
}

test_set_config_says_what_it_sets if {
	found([testing.statement("select", {"functions": [testing.named("pg_catalog.set_config")]})]) == {"unread-setting"}
}

test_values_are_not_computed if {
	computed := object.union(by_function("application_name", null), {"unknown": ["setting"]})
	found([computed]) == {"unread-setting"}
	found([object.union(by_function(null, "on"), {"unknown": ["setting"]})]) == {"setting", "unread-setting"}
}

test_connections_are_opened_with_harmless_ones_only if {
	every row in [
		[["datestyle", "timezone", "extra_float_digits", "application_name"], set()],
		[["timezone", "app.tenant"], {"setting"}], [["row_security"], {"setting"}], [["transform_null_equals"], {"setting"}],
		[[], set()],
	] {
		[names, expected] := row
		given := testing.with_facts(testing.connection("dev"), {"statements": [testing.set(name, "5") | some name in names]})
		testing.codes(settings.findings) == expected with input as given
	}
}

test_functions_and_tables_are_not_its_business if {
	found([testing.statement("update", {"functions": [testing.named("lower")], "writes": [testing.named("orders")]})]) == set()
}

test_settings_do_not_outlast_the_connection if {
	parameter := {"type": "parameter", "schema": null, "name": "search_path"}
	found([{}, testing.statement("alter", {"objects": [{"type": "role", "schema": null, "name": "bob"}, parameter]})]) == {"lasting-setting"}
	found([testing.statement("alter", {"objects": [parameter]})]) == {"lasting-setting"}
	found([testing.statement("grant", {"objects": [parameter]})]) == set()
	found([testing.statement("alter", {"objects": [{"type": "table", "schema": null, "name": "parameter"}]})]) == set()
}

test_the_view_of_settings_is_not_written_to if {
	found([testing.statement("update", {"writes": [testing.named("pg_catalog.PG_SETTINGS")]})]) == {"settings-view"}
}

test_data_may_name_more if {
	found([testing.set("app.trace", "x")]) == set() with data.holdpoint.config.policies["postgres.settings"].more as ["app.trace"]
}
