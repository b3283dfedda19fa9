# METADATA
# scope: package
# title: Governed columns stay where they are governed
# description: |
#   A view, a table, a function or another column that is made of a governed column has another name, under which no mask
#   knows its values. Making one waits for a person, in every environment; so does an ALTER that fills a column with them.
# custom:
#   id: postgres.governed_copies
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.governed_copies

import data.holdpoint.lib.governed
import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.governed_copies"]

findings contains finding if {
	some statement in postgres.statements
	copies(statement)
	count(governed.surely(statement, ["read"])) > 0
	finding := postgres.held(
		"governed-copy",
		"Copying governed columns to where they are not governed needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

# A member of a document may be a document itself. Stored by itself, as text, its members have no names any more.
findings contains finding if {
	count(governed.every_name) > 0
	some statement in postgres.statements
	stores(statement)
	some column in statement.columns.read
	is_string(column.document)
	finding := postgres.held(
		"member-copy",
		"What a member of a document holds may be governed; storing it by itself needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

# What a function that nobody knows gives may be any column's. Only where data governs columns of this very target.
findings contains finding if {
	count(object.get(data.holdpoint.config.postgres.governed, input.target.name, {})) > 0
	some statement in postgres.statements
	stores(statement)
	"function" in statement.unknown
	not postgres.computes(statement)
	finding := postgres.held(
		"unread-copy",
		"What a function gives may be governed columns; storing that needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

# So may be what stands behind a view that nobody can look into.
findings contains finding if {
	count(object.get(data.holdpoint.config.postgres.governed, input.target.name, {})) > 0
	some statement in postgres.statements
	copies(statement)
	"definition" in statement.unknown
	finding := postgres.held(
		"unread-copy",
		"What stands behind this may be governed columns; storing that needs a person's approval.",
		{"group": target.approval_group(settings.group)},
	)
}

# Renamed, a column is no longer what data names.
findings contains finding if {
	some statement in postgres.statements
	strings.any_prefix_match(statement.action, ["rename"])
	some thing in statement.objects
	last_part(thing.name) in governed.every_name
	finding := postgres.held(
		"governed-rename",
		"Renaming governed columns needs a person's approval; afterwards data has to name them anew.",
		{"group": target.approval_group(settings.group)},
	)
}

copies(statement) if statement.within in making

copies(statement) if stores(statement)

making := {"create", "function", "insert", "rule", "view"}

# CREATE TABLE … AS EXECUTE.
copies(statement) if {
	statement.within == "execute"
	some around in postgres.statements
	around.kind == "execute"
	around.within in making
}

# ALTER TABLE that gives a column values of others: with USING, or what a generated one has at last.
copies(statement) if {
	statement.kind == "alter"
	some action in statement.action
	action in {"alter_column_type", "drop_expression", "set_expression"}
	some thing in statement.objects
	thing.type == "column"
	not last_part(thing.name) in governed.every_name
}

# The text does not say what it is called.
copies(statement) if {
	statement.kind == "alter"
	"add_column" in statement.action
}

# A trigger, whose arguments name columns for its function.
copies(statement) if {
	statement.kind == "create"
	some thing in statement.objects
	thing.type == "trigger"
}

# What keeps a value, or hands it on, under a name that nothing governs.
copies(statement) if {
	some function in statement.functions
	lower(function.name) in {"pg_notify", "setval"}
}

stores(statement) if statement.within in {"create", "insert"}

# What is written to governed columns alone stays governed.
stores(statement) if {
	some column in statement.columns.written
	not lower(column.name) in governed.every_name
}

last_part(name) := lower(parts[count(parts) - 1]) if parts := split(name, ".")
