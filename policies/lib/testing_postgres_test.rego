# What the tests of PostgreSQL's policies build their inputs from:
# testing.postgres("production", [testing.statement("delete", {"writes": [testing.named("crm.orders")], "where": "none"})])
package holdpoint.lib.testing

# METADATA
# description: Statements on target `crm`, whole ones or what differs from a plain `SELECT 1`.
postgres(environment, statements) := object.union(object.remove(http(environment, {}), ["action"]), {
	"target": {"protocol": "postgres"},
	"action": {
		"protocol": "postgres",
		"verb": "SCRIPT",
		"resource": "crm",
		"digest": "d",
		"facts": {
			"phase": "execute",
			"database": "crm",
			"user": "reader",
			"role": "reader",
			"search_path": "\"$user\", public",
			"transaction": "idle",
			"application": "psql",
			"text": "",
			"values": [],
			"sensitive": {"text": {}, "values": {}, "families": {}},
			"statements": [statement("select", members) | some members in statements],
			"complete": true,
		},
	},
})

# METADATA
# description: The same input with other facts.
with_facts(given, facts) := object.union(given, {"action": {"facts": facts}})

# METADATA
# description: The same statements, to be prepared only.
prepared(given) := with_facts(given, {"phase": "prepare"})

# METADATA
# description: A connection to target `crm` that is being opened.
connection(environment) := object.union(
	with_facts(postgres(environment, []), {"phase": "connect"}),
	{"action": {"verb": "CONNECT"}},
)

# METADATA
# description: A statement of this kind, with these members over those of a plain `SELECT 1`.
statement(kind, members) := object.union(
	{
		"kind": kind,
		"within": null,
		"reads": [],
		"writes": [],
		"columns": {"read": [], "written": [], "filtered": [], "sorted": [], "grouped": [], "joined": []},
		"functions": [],
		"where": null,
		"limit": null,
		"locks": false,
		"objects": [],
		"action": [],
		"copy": null,
		"settings": [],
		"privileges": null,
		"name": null,
		"unknown": [],
	},
	members,
)

# METADATA
# description: A relation or a function, as `orders` or `crm.orders`.
named(text) := {"schema": null, "name": text} if not contains(text, ".")

named(text) := {"schema": parts[0], "name": parts[1]} if {
	parts := split(text, ".")
	count(parts) == 2
}

# METADATA
# description: A column, as `email`, `customers.email` or `crm.customers.email`; `customers.*` is all of them.
column(text) := {"schema": null, "table": null, "name": text} if not contains(text, ".")

column(text) := {"schema": null, "table": parts[0], "name": parts[1]} if {
	parts := split(text, ".")
	count(parts) == 2
}

column(text) := {"schema": parts[0], "table": parts[1], "name": parts[2]} if {
	parts := split(text, ".")
	count(parts) == 3
}

# METADATA
# description: A SELECT of these columns of one relation; `members` says the rest.
select(relation, names, members) := statement("select", object.union(
	{
		"reads": [named(relation)],
		"columns": {"read": [column(sprintf("%s.%s", [relation, name])) | some name in names]},
		"where": "none",
	},
	members,
))

# METADATA
# description: A SET of one setting.
set(name, value) := statement("set", {"settings": [{"name": name, "value": value, "local": false}]})
