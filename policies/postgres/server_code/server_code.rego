# METADATA
# scope: package
# title: Code that the server runs
# description: |
#   Extensions, libraries, languages that are not trusted, foreign servers, subscriptions and triggers on definitions bring
#   code or connections into the server that no rule sees. They are refused everywhere.
# custom:
#   id: postgres.server_code
#   severity: critical
#   mode: enforce
package holdpoint.policies.postgres.server_code

import data.holdpoint.lib.postgres

settings := data.holdpoint.config.policies["postgres.server_code"]

findings contains postgres.blocked("library", "Libraries are not loaded through the gateway.") if {
	some statement in postgres.statements
	statement.kind == "load"
}

findings contains postgres.blocked("server-code", message) if {
	some statement in postgres.statements
	statement.kind in {"alter", "create", "import"}
	some thing in statement.objects
	lower(thing.type) in settings.types
	message := "This would bring code or connections into the server; whoever runs it does that."
}

findings contains postgres.blocked("language", message) if {
	some statement in postgres.statements
	statement.kind in {"alter", "create", "do"}
	some thing in statement.objects
	lower(thing.type) == "language"
	not trusted(statement, thing)
	message := "Functions are written in languages that the server confines, and languages are not made here."
}

# Where a statement makes a language, it is about nothing else.
trusted(statement, language) if {
	count(statement.objects) > 1
	lower(language.name) in settings.languages
}

trusted(statement, language) if {
	statement.kind == "do"
	lower(language.name) in settings.languages
}
