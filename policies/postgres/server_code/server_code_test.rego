package holdpoint.policies.postgres.server_code_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.server_code

found(statement) := result if {
	result := testing.codes(server_code.findings) with input as testing.postgres("dev", [{}, statement])
}

about(kind, type) := testing.statement(kind, {"objects": [{"type": type, "schema": null, "name": "x"}]})

test_code_and_connections_are_not_brought_in if {
	found(testing.statement("load", {})) == {"library"}
	every type in [
		"extension", "Server", "foreign_data_wrapper", "subscription", "publication", "event_trigger",
		"tablespace",
	] {
		found(about("create", type)) == {"server-code"}
		found(object.union(about("alter", type), {"within": "prepare"})) == {"server-code"}
	}
}

written_in(language) := testing.statement("create", {"objects": [
	{"type": "function", "schema": "crm", "name": "f"},
	{"type": "language", "schema": null, "name": language},
]})

test_functions_are_written_in_confined_languages if {
	every language in ["c", "internal", "plpython3u", "plperlu", "PLPython3U"] {
		found(written_in(language)) == {"language"}
		found(object.union(about("do", "language"), {"objects": [{"type": "language", "schema": null, "name": language}]})) == {"language"}
	}
	every language in ["sql", "PLpgSQL"] {
		found(written_in(language)) == set()
		found(testing.statement("do", {"objects": [{"type": "language", "schema": null, "name": language}]})) == set()
		found(testing.statement("create", {"objects": [{"type": "language", "schema": null, "name": language}]})) == {"language"}
	}
	every kind in ["alter", "create"] {
		found(about(kind, "Language")) == {"language"}
	}
}

test_tables_functions_and_dropping_are_not_its_business if {
	every statement in [about("create", "table"), about("create", "function"), about("drop", "extension"), about("comment", "language")] {
		found(statement) == set()
	}
}
