# METADATA
# scope: package
# title: Functions that reach beyond the database
# description: |
#   Functions that read the server's files, reach other servers, run SQL that they get as text, or rule the server are
#   refused everywhere; those that end others' sessions or forget statistics wait for a person.
# custom:
#   id: postgres.dangerous_functions
#   severity: critical
#   mode: enforce
package holdpoint.policies.postgres.dangerous_functions

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.dangerous_functions"]

findings contains postgres.blocked("dangerous-function", message) if {
	some name in called
	blocked(name)
	message := "A function that reaches beyond the database's tables is not called through the gateway."
}

findings contains finding if {
	some name in called
	held(name)
	not blocked(name)
	finding := postgres.held(
		"ruling-function",
		"A function that acts on the server or on others' sessions needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

# In any schema and any case: an extension's functions lie where its owner put them.
called contains lower(function.name) if {
	some statement in postgres.statements
	some function in statement.functions
}

blocked(name) if name in settings.blocked

blocked(name) if strings.any_prefix_match(name, settings.blocked_prefixes)

held(name) if name in settings.held

held(name) if strings.any_prefix_match(name, settings.held_prefixes)
