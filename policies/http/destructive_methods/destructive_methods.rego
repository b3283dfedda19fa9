# METADATA
# scope: package
# title: Deleting in production
# description: One item in production is deleted when a person agrees; a whole collection, or several at once, is not deleted through the gateway.
# custom:
#   id: http.destructive_methods
#   severity: high
#   mode: enforce
package holdpoint.policies.http.destructive_methods

import data.holdpoint.lib.http
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["http.destructive_methods"]

findings contains finding if {
	deletes
	many
	finding := {
		"code": "delete-collection",
		"effect": "block",
		"message": "Deleting a whole collection in production is not allowed; delete items one by one.",
	}
}

findings contains finding if {
	deletes
	not many
	finding := {
		"code": "delete-item",
		"effect": "hold",
		"message": "Deleting in production needs a person's approval.",
		"approval": approval,
	}
}

# The end of a session with an MCP server deletes nothing else.
deletes if {
	target.production
	http.any_case == "DELETE"
	not http.mcp_housekeeping
}

# POST /orders/_delete_by_query does what DELETE /orders does.
findings contains finding if {
	target.production
	not http.any_case in {"DELETE", "GET", "HEAD", "OPTIONS"}
	some word in http.words
	word in settings.bulk_words
	finding := {
		"code": "delete-in-bulk",
		"effect": "block",
		"message": "Deleting in bulk in production is not allowed.",
	}
}

# GET /customers/7/delete is a read by its method alone.
findings contains finding if {
	target.production
	http.any_case in {"GET", "HEAD", "OPTIONS"}
	names_deletion
	finding := {
		"code": "delete-by-reading",
		"effect": "hold",
		"message": "The address names a deletion; in production that needs a person's approval.",
		"approval": approval,
	}
}

approval := {"group": target.approval_group(settings.group)}

names_deletion if last in settings.delete_words

names_deletion if last in settings.bulk_words

last := http.words[count(http.words) - 1]

# Resources without what merely leads to them: /api/v2/customers/7 is [customers, 7].
resources := [word |
	some word in http.words
	not word in settings.prefixes
	not regex.match(`^v[0-9]+(\.[0-9]+)*$`, word)
]

many if not item

many if {
	some word in resources
	word in settings.all_words
}

many if {
	some word in resources
	regex.match(`[*,?|]`, word)
}

many if {
	some name, values in input.action.facts.query
	some value in values
	selects_many(lower(name), lower(value))
}

many if {
	some name in {"ids", "items", "objects", "keys", "query", "filter", "where"}
	_ = input.action.facts.body.json[name]
}

many if is_array(input.action.facts.body.json)

selects_many(_, value) if regex.match(`[*,]`, value)

selects_many(name, value) if {
	name in settings.all_words
	not value in {"false", "0", "no"}
}

selects_many(name, _) if trim_suffix(name, "[]") in settings.selecting_parameters

# Collections and items alternate (/customers/7/orders/12); a last word that looks like an identifier names an item
# wherever it stands (/repos/acme/widgets/12).
item if {
	count(resources) > 0
	count(resources) % 2 == 0
}

item if identifier(resources[count(resources) - 1])

identifier(word) if regex.match(`^[a-z]{0,8}[-_:]?[0-9]+$`, word)

identifier(word) if regex.match(`^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`, word)

identifier(word) if {
	regex.match(`^[0-9a-z_-]{12,}$`, word)
	regex.match(`[0-9].*[0-9]`, word)
}
