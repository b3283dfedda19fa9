# METADATA
# scope: package
# title: Statements are understood before they are judged
# description: |
#   A rule that refuses is silent when the fact it reads is missing. So a statement of which something can't be told is
#   refused, but for what a person can read instead: that waits for one.
# custom:
#   id: postgres.complete_facts
#   severity: critical
#   mode: enforce
package holdpoint.policies.postgres.complete_facts

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.complete_facts"]

findings contains postgres.blocked("incomplete-facts", "The gateway could not read the whole statement.") if {
	not connecting
	not postgres.complete
}

findings contains postgres.blocked("incomplete-facts", "What the connection sets could not be read.") if {
	connecting
	not opening_complete
}

opening_complete if {
	is_array(postgres.setting)
	every statement in postgres.setting {
		is_array(statement.settings)
	}
}

findings contains postgres.blocked("unknown-meaning", message) if {
	some word in unknown
	not word in readable
	said := sprintf("What this statement does can't be told (%s); say it in plain statements.", [word])
	message := object.get(instead, word, said)
}

findings contains finding if {
	some word in unknown
	word in readable
	finding := postgres.held(
		word,
		"A person has to read what this statement does.",
		{"group": target.approval_group(settings.group)},
	)
}

instead := {"cursor-position": concat("", [
	"Which row a cursor stands on can't be told (cursor-position); ",
	"name the row by its key (WHERE id = …) and not by WHERE CURRENT OF.",
])}

# It may be set anew, for that does not depend on it.
findings contains postgres.blocked("unknown-search-path", message) if {
	postgres.complete
	not is_string(input.action.facts.search_path)
	some statement in postgres.statements
	((count(statement.reads) + count(statement.writes)) + count(statement.functions)) + count(statement.objects) > 0
	message := "Nobody knows the search path any more, so names have no sure meaning; SET search_path, or connect again."
}

# Whatever is not told of any statement, nor of the search path.
findings contains postgres.blocked("incomplete-facts", "The gateway could not read the whole statement.") if {
	not input.action.facts.complete == true
	is_string(input.action.facts.search_path)
	not some_unknown
}

some_unknown if {
	some statement in postgres.statements
	count(statement.unknown) > 0
}

connecting if {
	input.action.verb == "CONNECT"
	input.action.facts.phase == "connect"
}

# What functions may do, and which settings change, is judged by rules of its own.
unknown contains word if {
	some statement in postgres.statements
	some word in statement.unknown
	not word in ignored
	not judged(word, statement)
}

judged("function", statement) if postgres.doing(statement)

# It is about whatever there is, and more can't be said.
judged("catalogue", statement) if statement.kind in {"analyze", "constraints", "vacuum"}

judged("setting", statement) if count(statement.settings) > 0

ignored := settings.ignored.production if target.production

ignored := settings.ignored.nonproduction if target.nonproduction

readable := settings.readable.production if target.production

readable := settings.readable.nonproduction if target.nonproduction
