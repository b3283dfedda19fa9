package holdpoint.policies.postgres.privileges_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.privileges

found(given) := result if {
	result := {[f.code, f.effect] | some f in privileges.findings} with input as given
}

about(kind, type) := testing.statement(kind, {"objects": [{"type": type, "schema": null, "name": "x"}]})

test_privileges_are_for_others_in_production_and_held_elsewhere if {
	every statement in [
		testing.statement("grant", {"privileges": {"names": ["select"], "to": ["bob"], "grant_option": false, "roles": false}}),
		testing.statement("revoke", {}),
		testing.statement("reassign", {}),
		testing.statement("security_label", {}),
		about("create", "role"),
		about("alter", "Role"),
		about("drop", "role"),
		about("create", "policy"),
		testing.statement("alter", {"action": ["owner"]}),
		testing.statement("alter", {"action": ["add_column", "change_owner"]}),
		testing.statement("alter", {"action": ["disable_row_security"]}),
		testing.statement("alter", {"action": ["disable_trig_user"]}),
		testing.statement("create", {"action": ["security"]}),
		testing.statement("alter", {"privileges": {"names": ["all"], "to": ["bob"], "grant_option": false, "roles": false}}),
		testing.statement("grant", {"within": "function"}),
	] {
		found(testing.postgres("production", [{}, statement])) == {["privileges", "block"]}
		found(testing.postgres("dev", [{}, statement])) == {["privileges", "hold"]}
		found(testing.prepared(testing.postgres("production", [statement]))) == {["privileges", "block"]}
	}
}

test_the_role_of_a_connection_stays if {
	every environment in ["production", "dev"] {
		every name in ["role", "ROLE", "session_authorization"] {
			found(testing.postgres(environment, [testing.set(name, "admin")])) == {["role", "block"]}
			found(testing.postgres(environment, [testing.set(name, null)])) == {["role", "block"]}
			found(testing.with_facts(testing.connection(environment), {"statements": [testing.set(name, "admin")]})) == {["role", "block"]}
			by_function := testing.statement("select", {"settings": [{"name": name, "value": null, "local": true}], "within": "cte"})
			found(testing.postgres(environment, [{}, by_function])) == {["role", "block"]}
		}
	}
}

test_other_definitions_and_settings_are_not_its_business if {
	every statement in [
		about("create", "table"), testing.statement("alter", {"action": ["drop_column"]}), testing.set("timezone", "UTC"),
		about("comment", "role"), {},
	] {
		found(testing.postgres("production", [statement])) == set()
	}
}
