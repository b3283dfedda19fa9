package holdpoint.policies.postgres.allow_writes_nonprod_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.allow_writes_nonprod

found(environment, statements) := codes if {
	codes := testing.codes(allow_writes_nonprod.findings) with input as testing.postgres(environment, statements)
}

test_writes_and_definitions_pass_where_data_says_so if {
	every environment in ["dev", "Staging", " test "] {
		every kind in ["insert", "update", "delete", "merge", "copy", "create", "drop", "truncate", "call", "notify"] {
			found(environment, [testing.statement(kind, {})]) == {"write-nonproduction"}
		}
	}
	unknown := testing.statement("select", {"functions": [testing.named("close_account")]})
	found("dev", [testing.statement("begin", {}), unknown]) == {"write-nonproduction"}
}

test_unknown_environments_are_production if {
	every environment in ["production", "prod", "", "development2"] {
		found(environment, [testing.statement("insert", {})]) == set()
	}
}

test_reads_and_other_statements_are_not_its_business if {
	found("dev", [{}]) == set()
	every kind in ["grant", "checkpoint", "load", "other", "INSERT"] {
		found("dev", [testing.statement("insert", {}), testing.statement(kind, {})]) == set()
	}
}
