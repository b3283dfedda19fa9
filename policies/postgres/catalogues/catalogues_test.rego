package holdpoint.policies.postgres.catalogues_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.catalogues

found(statement) := result if {
	result := {[f.code, f.effect] | some f in catalogues.findings} with input as testing.postgres("dev", [{}, statement])
}

reading(name) := testing.statement("select", {"reads": [testing.named("orders"), testing.named(name)], "within": "cte"})

test_what_tells_too_much_is_blocked if {
	every name in [
		"pg_shadow", "pg_catalog.pg_authid", "PG_AUTHID", "pg_user_mappings", "pg_hba_file_rules", "pg_file_settings",
		"pg_config", "pg_statistic", "pg_catalog.pg_stats", "pg_stats_ext_exprs", "pg_largeobject", "pg_db_role_setting",
		"information_schema.user_mapping_options", "information_schema._pg_foreign_servers", "pg_toast.pg_toast_2619",
		"pg_subscription", "pg_foreign_server", "pg_brand_new",
	] {
		found(reading(name)) == {["catalogue", "block"]}
	}
}

test_what_others_do_is_held if {
	every name in ["pg_stat_activity", "pg_catalog.pg_stat_activity", "public.pg_stat_statements", "pg_locks"] {
		found(reading(name)) == {["others-activity", "hold"]}
	}
}

test_what_there_is_may_be_asked if {
	every name in [
		"pg_class", "pg_catalog.pg_attribute", "pg_type", "pg_catalog.pg_namespace", "pg_roles", "pg_settings",
		"information_schema.columns", "INFORMATION_SCHEMA.TABLES", "pgbench_accounts", "crm.columns", "crm.user_mapping_options",
	] {
		found(reading(name)) == set()
	}
}

test_catalogues_are_not_written_to if {
	every name in ["pg_class", "pg_catalog.pg_authid", "information_schema.sql_features", "pg_settings"] {
		found(testing.statement("update", {"writes": [testing.named(name)]})) == {["catalogue-write", "block"]}
	}
}

test_other_relations_are_written_to if {
	every name in ["orders", "crm.columns"] {
		found(testing.statement("update", {"writes": [testing.named(name)]})) == set()
	}
}

test_data_may_open_more if {
	found(reading("pg_legacy")) == set() with data.holdpoint.config.policies["postgres.catalogues"].more as ["pg_legacy"]
}
