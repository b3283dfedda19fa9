package holdpoint.policies.postgres.allow_connect_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.allow_connect

test_connections_open if {
	every environment in ["production", "dev"] {
		testing.codes(allow_connect.findings) == {"connect"} with input as testing.connection(environment)
	}
}

test_a_statement_is_no_connection if {
	statement := testing.postgres("dev", [{}])
	every given in [
		statement,
		testing.with_facts(statement, {"phase": "connect"}),
		object.union(statement, {"action": {"verb": "CONNECT"}}),
	] {
		count(allow_connect.findings) == 0 with input as given
	}
}
