# METADATA
# scope: package
# title: Governed columns
# description: |
#   Which of the columns that data governs (data.holdpoint.config.postgres.governed) a statement touches. `surely` goes by
#   the tables and names in the text; `possibly` by whether there can be any, under whatever name: a view has other tables'
#   columns.
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

hit(column, _) := {name |
	some [table, name] in pairs
	name in called(column)
	of_table(table, column)
} if {
	column.name != "*"
}

# Something of a document (JSON, hstore, a composite type) may be any of its members.
hit(column, _) := {name |
	some [table, name] in pairs
	of_table(table, column)
} if {
	column.name == "*"
	is_string(column.document)
}

hit(column, statement) := {name |
	some relation in sources(column, statement)
	some [table, name] in pairs
	postgres.names(table, relation)
} if {
	column.name == "*"
	not column.document
}

# A member has its own name, and that of the column that it is in.
called(column) := {lower(column.name), lower(column.document)} if is_string(column.document)

called(column) := {lower(column.name)} if not column.document

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
#   The names of the governed columns whose values may come back: all as soon as a relation is read or written that data
#   does not name as free of them, for the text does not tell what a view's columns are made of. The gateway asks the
#   database's catalogue, and masks those that are. Errors quote rows, too, of what is written, indexed or committed; and
#   what belongs to no statement, as notifications, is judged by the connection.
possibly := every_name if opaque

possibly := set() if not opaque

opaque if {
	some statement in postgres.statements
	some relation in array.concat(statement.reads, statement.writes)
	not free(relation)
}

opaque if {
	some statement in postgres.statements
	some column in statement.columns.read
	lower(column.name) in (every_name | {"*"})
	not of_free(column)
}

# Of any other kind than these a statement may come upon rows of which its text says nothing.
opaque if {
	some statement in postgres.statements
	not statement.kind in plain
}

opaque if {
	some statement in postgres.statements
	count(statement.unknown) > 0
}

opaque if input.action.facts.phase == "connect"

plain := {
	"begin", "close", "copy", "deallocate", "declare", "delete", "discard", "empty", "execute", "explain", "fetch", "insert",
	"listen", "lock", "merge", "notify", "prepare", "release", "reset", "rollback", "savepoint", "select", "set", "show",
	"unlisten", "update",
}

of_free(column) if {
	is_string(column.table)
	free({"schema": column.schema, "name": column.table})
}

# Of a relation that has none, whatever its columns are called.
free(relation) if relation.schema in {"pg_catalog", "information_schema"}

free(relation) if {
	startswith(relation.name, "pg_")
	relation.name in data.holdpoint.config.policies["postgres.catalogues"].harmless
	postgres.own_schema(relation)
}

free(relation) if {
	some target in {input.target.name, "*"}
	some wanted in config.ungoverned[target]
	lower(wanted) == lower(postgres.written(relation))
}
