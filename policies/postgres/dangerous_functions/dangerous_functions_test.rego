package holdpoint.policies.postgres.dangerous_functions_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.dangerous_functions

found(name, members) := result if {
	statement := testing.statement("select", object.union({"functions": [testing.named("count"), testing.named(name)]}, members))
	result := {[f.code, f.effect] | some f in dangerous_functions.findings} with input as testing.postgres("dev", [{}, statement])
}

test_what_reaches_beyond_is_blocked_everywhere if {
	every name in [
		"pg_read_file", "pg_catalog.pg_read_binary_file", "PG_READ_FILE", "pg_ls_dir", "pg_ls_waldir", "lo_import", "lo_export",
		"lo_get", "dblink", "public.dblink_exec", "dblink_connect_u", "pg_sleep", "pg_sleep_for", "pg_reload_conf",
		"pg_rotate_logfile", "pg_switch_wal", "pg_create_restore_point", "query_to_xml", "query_to_xml_and_xmlschema",
		"database_to_xml", "table_to_xmlschema", "cursor_to_xml", "ts_stat", "extensions.crosstab", "http_get", "cron.schedule",
		"pg_logical_slot_get_changes", "pg_create_physical_replication_slot", "pg_hba_file_rules", "pg_config",
	] {
		found(name, {}) == {["dangerous-function", "block"]}
		found(name, {"kind": "delete", "within": "cte"}) == {["dangerous-function", "block"]}
		found(name, {"within": "explain"}) == {["dangerous-function", "block"]}
	}
}

test_what_rules_the_server_is_held if {
	every name in ["pg_terminate_backend", "pg_cancel_backend", "pg_stat_reset_shared", "public.pg_stat_statements_reset"] {
		found(name, {}) == {["ruling-function", "hold"]}
	}
}

test_what_is_blocked_is_not_held_too if {
	found("pg_read_file", {}) == {["dangerous-function", "block"]}
		with data.holdpoint.config.policies["postgres.dangerous_functions"].held as ["pg_read_file"]
}

test_ordinary_functions_are_left_alone if {
	every name in ["lower", "pg_typeof", "current_setting", "set_config", "pg_get_viewdef", "crm.low", "log", "schedule_of"] {
		found(name, {}) == set()
	}
}
