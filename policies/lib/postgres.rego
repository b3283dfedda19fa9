# METADATA
# scope: package
# title: PostgreSQL facts
# description: |
#   Readings of a PostgreSQL action: statements (nested ones are items of their own), what kind of doing each is, and which
#   governed columns it touches. What allows compares exactly, as PostgreSQL does; what refuses compares without case and
#   without the schema where none is written.
package holdpoint.lib.postgres

import data.holdpoint.lib.postgres_functions

config := data.holdpoint.config.postgres

# METADATA
# description: |
#   The statements of the action, nested ones too. Undefined when a connection is being opened, or without any: a text of
#   none has one of kind `empty`.
statements := input.action.facts.statements if {
	input.action.facts.phase in {"prepare", "execute"}
	count(input.action.facts.statements) > 0
}

# METADATA
# description: |
#   The statements that set something: those of the action, and while a connection is being opened the settings of its
#   startup message as those of a SET.
setting := statements

setting := input.action.facts.statements if input.action.facts.phase == "connect"

# METADATA
# description: True while a statement is only prepared, which runs nothing; what it is bound to is decided when it is executed.
preparing if input.action.facts.phase == "prepare"

# METADATA
# description: A finding that waits for a person when the statement is executed, and lets it be prepared.
held(code, message, approval) := {"code": code, "effect": "hold", "message": message, "approval": approval} if not preparing

held(code, message, _) := {"code": code, "effect": "allow", "message": told} if {
	preparing
	told := sprintf("Preparing runs nothing. When executed: %s", [message])
}

# METADATA
# description: A finding that refuses, whether to prepare or to execute.
blocked(code, message) := {"code": code, "effect": "block", "message": message}

# What runs nothing by itself, or is judged by its nested statements, its settings or its portal.
neutral := {
	"begin", "close", "commit", "constraints", "deallocate", "declare", "empty", "execute", "explain", "fetch", "prepare",
	"release", "reset", "rollback", "savepoint", "set", "show",
}

changing := {"call", "delete", "do", "insert", "lock", "merge", "notify", "update"}

defining := {"alter", "cluster", "comment", "create", "drop", "import", "refresh", "reindex", "truncate"}

# Whatever EXPLAIN alone contains is planned and not run.
planned(statement) if {
	statement.within == "explain"
	statement.kind in ((changing | defining) | {"select"})
}

# Two-phase commits are of other sessions, too, and DISCARD ALL gives up the role that the login took on.
neutral_here(statement) if {
	statement.kind in (neutral | {kind | some kind in config.harmless_kinds})
	not "prepared" in statement.action
}

neutral_here(statement) if {
	statement.kind == "discard"
	not "all" in statement.action
}

neutral_here(statement) if {
	statement.kind == "discard"
	input.action.facts.role == input.action.facts.user
}

# METADATA
# description: |
#   What a statement does: `read` changes nothing, `write` changes rows or may do so (a function that nobody knows, a lock),
#   `define` changes what there is. Undefined for any other.
doing(statement) := "read" if {
	reads(statement)
} else := "write" if {
	writes(statement)
} else := "define" if {
	statement.kind in defining
}

reads(statement) if {
	neutral_here(statement)
	computes(statement)
}

reads(statement) if {
	statement.kind == "select"
	count(statement.writes) == 0
	statement.locks == false
	computes(statement)
}

reads(statement) if {
	planned(statement)
	computes(statement)
}

reads(statement) if {
	statement.copy.direction == "out"
	computes(statement)
}

writes(statement) if statement.kind in (changing | {"select", "copy"})

# What of it computes and no more was a read.
writes(statement) if neutral_here(statement)

# METADATA
# description: |
#   True if every function that a statement calls is known to compute and nothing else, by PostgreSQL's documentation or by
#   data. The gateway says of itself where it does not know one (`function`): only data may know better.
computes(statement) if {
	every function in statement.functions {
		known(function)
	}
	not doubted(statement)
}

doubted(statement) if {
	"function" in statement.unknown
	every function in statement.functions {
		not trusted(function)
	}
}

known(function) if {
	function.name in postgres_functions.computing
	own_schema(function)
}

# What information_schema's views are made of; mappers call it.
known(function) if {
	function.schema == "information_schema"
	startswith(function.name, "_pg_")
}

known(function) if trusted(function)

# A dot in a name is not one between schema and name.
trusted(function) if {
	written(function) in config.trusted_functions
	not contains(function.name, ".")
}

# Another schema in front of it on the search path could have a function of the same name.
own_schema(function) if function.schema == "pg_catalog"

own_schema(function) if {
	function.schema == null
	is_string(input.action.facts.search_path)
	path := lower(input.action.facts.search_path)
	not contains(trim_prefix(path, "pg_catalog"), "pg_catalog")
}

# METADATA
# description: A name as data has it, with its schema where one is written.
written(object_named) := object_named.name if object_named.schema == null

written(object_named) := concat(".", [object_named.schema, object_named.name]) if is_string(object_named.schema)

# METADATA
# description: |
#   True if `wanted`, a name from data (`customers` or `crm.customers`), may mean this relation, function or object: in any
#   case, and of any schema where one of the two has none.
names(wanted, object_named) if lower(wanted) == lower(object_named.name)

names(wanted, object_named) if lower(wanted) == lower(written(object_named))

names(wanted, object_named) if {
	object_named.schema == null
	endswith(lower(wanted), sprintf(".%s", [lower(object_named.name)]))
}

# METADATA
# description: Names of the settings that a statement sets or resets, in lower case; null where one can't be told.
settings_of(statement) := {setting_name(setting) | some setting in statement.settings}

setting_name(setting) := lower(setting.name) if is_string(setting.name)

setting_name(setting) := null if not is_string(setting.name)

# METADATA
# description: True when every fact that a refusing rule reads is there; without one its rules would be silent.
complete if {
	is_array(statements)
	every statement in statements {
		whole(statement)
	}
}

# Written out, for `every` over names takes several times as long; and each statement is looked at.
whole(statement) if {
	is_string(statement.kind)
	is_boolean(statement.locks)
	statement.where in {null, "none", "always", "some"}
	count({"within", "limit", "copy", "privileges", "name"} - object.keys(statement)) == 0
	is_array(statement.reads)
	is_array(statement.writes)
	is_array(statement.functions)
	is_array(statement.objects)
	is_array(statement.action)
	is_array(statement.settings)
	is_array(statement.unknown)
	is_array(statement.columns.read)
	is_array(statement.columns.written)
	is_array(statement.columns.filtered)
	is_array(statement.columns.sorted)
	is_array(statement.columns.grouped)
	is_array(statement.columns.joined)
}
