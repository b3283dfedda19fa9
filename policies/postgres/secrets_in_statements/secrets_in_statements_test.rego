package holdpoint.policies.postgres.secrets_in_statements_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.secrets_in_statements

families := {"private-key": "secret", "credential": "secret", "jwt": "secret", "card": "financial"}

found(sensitive) := result if {
	given := testing.with_facts(testing.postgres("dev", [{}]), {"sensitive": object.union(
		{"text": {}, "values": {}, "families": families},
		sensitive,
	)})
	result := {[f.code, f.effect] | some f in secrets_in_statements.findings} with input as given
}

test_keys_and_credentials_end_a_statement if {
	every part in ["text", "values"] {
		every kind in ["private-key", "credential"] {
			found({part: {kind: 1}}) == {[kind, "block"]}
		}
		found({part: {"jwt": 1, "card": 2, "private-key": 0}}) == set()
		found({part: {"jwt": 1}}) == {["jwt", "block"]}
			with data.holdpoint.config.policies["postgres.secrets_in_statements"].block_kinds as ["secret"]
	}
}

test_whoever_did_not_look_knows_nothing if {
	every sensitive in [{"text": null}, {"values": {"brand-new": 1}}, {"text": {"jwt": 1, "other": 1}}] {
		found(sensitive) == {["unread-secrets", "block"]}
	}
	opening := json.remove(testing.connection("dev"), ["action/facts/sensitive"])
	count(secrets_in_statements.findings) == 0 with input as opening
}
