# METADATA
# scope: package
# title: A request is what its method says
# description: Some frameworks read the method from a header, a parameter or the body. Policy judges the method it sees, so these are refused.
# custom:
#   id: http.method_override
#   severity: high
#   mode: enforce
package holdpoint.policies.http.method_override

settings := data.holdpoint.config.policies["http.method_override"]

findings contains finding if {
	overridden
	finding := {
		"code": "method-override",
		"effect": "block",
		"message": "The request asks to be read as another method; send that method itself.",
	}
}

overridden if {
	some name, _ in input.action.facts.headers
	replace(lower(name), "_", "-") in settings.headers
}

overridden if {
	some name, _ in input.action.facts.query
	parameter(name)
}

overridden if {
	some name, _ in input.action.facts.body.form
	parameter(name)
}

# A key of a JSON document that frameworks read as a form (Laravel, Rails).
overridden if {
	some name, value in input.action.facts.body.json
	parameter(name)
	is_string(value)
	upper(trim_space(value)) in settings.methods
}

# Multipart bodies and forms that came as text are read by their words alone.
overridden if {
	some name in settings.parameters
	regex.match(sprintf(`(?i)(^|[&;\r\n"])%s("|=)`, [name]), input.action.facts.body.text)
}

parameter(name) if replace(lower(name), "-", "_") in settings.parameters
