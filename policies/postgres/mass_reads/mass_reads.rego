# METADATA
# scope: package
# title: Governed columns are read a few rows at a time
# description: |
#   In production, reading governed columns of a whole table waits for a person, and `*` over a table that data governs is
#   refused: it reads what nobody asked for.
# custom:
#   id: postgres.mass_reads
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.mass_reads

import data.holdpoint.lib.governed
import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.mass_reads"]

findings contains finding if {
	some statement in queries
	not bounded(statement)
	count(governed.surely(statement, ["read"])) > 0
	finding := postgres.held(
		"mass-read",
		sprintf("Say with WHERE which rows you need, or with LIMIT how many, at most %d; more needs a person's approval.", [rows]),
		{"group": target.approval_group(settings.group)},
	)
}

findings contains postgres.blocked("governed-star", message) if {
	settings.refuse_star
	some statement in queries
	some column in statement.columns.read
	column.name == "*"
	not column.document
	count(governed.surely(object.union(statement, {"columns": {"read": [column]}}), ["read"])) > 0
	message := "Name the columns that you need: `*` has governed ones here."
}

rows := object.get(settings.rows, input.target.name, settings.rows["*"])

# COPY of a query has the query as a statement of its own.
queries contains statement if {
	target.production
	some statement in postgres.statements
	statement.kind == "select"
	statement.within != "explain"
}

queries contains statement if {
	target.production
	some statement in postgres.statements
	statement.copy.direction == "out"
	not of_query
}

of_query if {
	some statement in postgres.statements
	statement.within == "copy"
}

bounded(statement) if statement.where == "some"

# A function that collects rows into one value returns any number of them as one.
bounded(statement) if {
	is_number(statement.limit)
	statement.limit <= rows
	every function in statement.functions {
		not lower(function.name) in settings.collecting_functions
	}
}
