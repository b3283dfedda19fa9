# METADATA
# scope: package
# title: Governed columns
# description: |
#   Which of the columns that data governs (data.holdpoint.config.postgres.governed) a statement touches. `surely` goes by
#   the table that is read, `possibly` also by the mere name of a column: a view, or a table that was made of another, has
#   other tables' columns.
package holdpoint.lib.governed

import data.holdpoint.lib.postgres

config := data.holdpoint.config.postgres

# Pairs of a table and a column of it, in lower case; `*` is any table.
pairs := {[lower(table), lower(column)] |
	some target in {input.target.name, "*"}
	some table, columns in config.governed[target]
	some column in columns
}

# METADATA
# description: The names of all columns that are governed on the target, in lower case.
every_name := {name | some [_, name] in pairs}

# METADATA
# description: |
#   The governed columns that a statement surely touches in these places (read, written, filtered, sorted, grouped, joined),
#   by name. `*` touches those that data names for that very table.
surely(statement, places) := {name |
	some place in places
	some column in statement.columns[place]
	some name in hit(column, statement)
}

hit(column, _) := {name} if {
	column.name != "*"
	name := lower(column.name)
	name in every_name
	some pair in pairs
	pair[1] == name
	of_table(pair[0], column)
}

hit(column, statement) := {name |
	some relation in sources(column, statement)
	some [table, name] in pairs
	postgres.names(table, relation)
} if {
	column.name == "*"
}

of_table("*", _)

of_table(_, column) if column.table == null

of_table(table, column) if {
	is_string(column.table)
	postgres.names(table, {"schema": column.schema, "name": column.table})
}

# Whose columns `*` means: of the table it names, or of whatever the statement reads.
sources(column, _) := [{"schema": column.schema, "name": column.table}] if is_string(column.table)

sources(column, statement) := statement.reads if column.table == null

# METADATA
# description: |
#   The governed columns whose values may come back from any of the statements, by name: those whose name is read from any
#   relation that data does not name as free of them; all of them where `*` is read or what is read can't be told.
possibly := every_name if opaque

possibly := names_read if not opaque

names_read contains name if {
	some statement in postgres.statements
	some column in statement.columns.read
	name := lower(column.name)
	name in every_name
	not free(column)
}

opaque if {
	some statement in postgres.statements
	some column in statement.columns.read
	column.name == "*"
	not free(column)
}

opaque if {
	some statement in postgres.statements
	statement.kind in {"call", "do"}
}

opaque if {
	some statement in postgres.statements
	count(statement.unknown) > 0
}

# Of a relation that has none, whatever its columns are called.
free(column) if column.schema in {"pg_catalog", "information_schema"}

free(column) if {
	is_string(column.table)
	relation := {"schema": column.schema, "name": column.table}
	some target in {input.target.name, "*"}
	some wanted in config.ungoverned[target]
	lower(wanted) == lower(postgres.written(relation))
}
