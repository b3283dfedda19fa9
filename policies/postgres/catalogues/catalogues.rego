# METADATA
# scope: package
# title: Catalogues that tell too much
# description: |
#   Catalogues tell what there is, which drivers and psql ask all the time. Some tell values of columns, password hashes,
#   files of the server or what others do: those are refused, or wait for a person, and so do those that nobody listed.
# custom:
#   id: postgres.catalogues
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.catalogues

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.catalogues"]

findings contains postgres.blocked("catalogue", "This catalogue is not open through the gateway.") if {
	some name in read
	not name in harmless
	not name in held
}

findings contains finding if {
	count(held & read) > 0
	finding := postgres.held(
		"others-activity",
		"Seeing what others do needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

findings contains postgres.blocked("catalogue-write", "Catalogues are not written to.") if {
	some statement in postgres.statements
	some relation in statement.writes
	catalogue(relation)
}

read contains lower(relation.name) if {
	some statement in postgres.statements
	some relation in statement.reads
	catalogue(relation)
}

harmless := {name | some list in [settings.harmless, settings.more]; some name in list}

held := {name | some name in settings.held}

# Named as such, named like one, or an extension's view in a schema of one's own.
catalogue(relation) if {
	is_string(relation.schema)
	regex.match(`^(pg_catalog|pg_toast.*|information_schema)$`, lower(relation.schema))
}

catalogue(relation) if startswith(lower(relation.name), "pg_")
