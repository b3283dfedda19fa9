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
	some fields in [input.action.facts.query, object.get(input.action.facts.body, "form", {})]
	suspect(fields)
	some name, values in fields
	overriding_field(name, values)
}

# A key of a JSON document that frameworks read as a form (Laravel, Rails).
overridden if {
	is_object(input.action.facts.body.json)
	suspect(object.keys(input.action.facts.body.json))
	some name, value in input.action.facts.body.json
	parameter(name)
	names_a_method(value)
}

# Multipart bodies, and forms that came as text, are read by their words alone, without the backslashes that a quoted
# name may have.
overridden if {
	overriding_text(replace(input.action.facts.body.text, "\\", ""))
}

# Whether a parameter's name is anywhere in these names and values. One look at all of them, for to read each takes
# twenty times as long, and there may be thousands.
suspect(values) if {
	all := strings.replace_n(underscores, lower(json.marshal(values)))
	some name in settings.parameters
	contains(all, strings.replace_n(underscores, lower(trim(json.marshal(name), `"`))))
}

underscores := {"-": "_", ".": "_", " ": "_"}

# The gateway cuts fields at `&`. Servers that cut at `;` too find more of them in a name or a value. One look at a text:
# to cut it and read each part takes a hundred times as long, and there may be thousands.
overriding_field(name, _) if regex.match(sprintf(`(?:^|[;&])%s(?:[;&]|$)`, [named]), name)

overriding_field(_, values) if {
	some value in values
	regex.match(sprintf(`[;&]%s=`, [named]), value)
}

# A parameter's name as `parameter` reads it, as a pattern. A blank at its start is no part of it.
named := sprintf(`(?i:[\pZ\s\v\x{85}]*(?:%s)[\pZ\s\v\x{85}]*(?:\[[^;&=]*)?)`, [concat("|", {pattern |
	some name in settings.parameters
	quoted := replace(regex.replace(name, `[[:punct:]]`, `\$0`), `\_`, `[-_. ]`)
	pattern := regex.replace(quoted, `^\[-_\. \]`, `[-_.]`)
})])

# As servers read it: in PHP `_method[]`, ` _method` and `_method` fill one variable, and a dot is an underscore.
parameter(name) if regex.replace(trim_space(lower(split(name, "[")[0])), `[-. ]`, "_") in settings.parameters

names_a_method(value) if method(value)

names_a_method(values) if {
	some value in values
	method(value)
}

method(value) if {
	is_string(value)
	upper(trim_space(value)) in settings.methods
}

# As a form's field or a quoted name, or in a multipart head without quotes. Whether the words of the name are there at
# all is looked up first: that takes a fiftieth of what the patterns take.
overriding_text(text) if {
	all := folded(text)
	some name in settings.parameters
	every word in split(name, "_") {
		contains(all, folded(word))
	}
	some form in [
		`(?i)(?:^|[&;\r\n"'])[ \t+]*%s(?:\[[^\]\r\n]*\]|%%5b[^&;=\r\n]*)?["'=]`,
		`(?i)\bname\s*=\s*["']?\s*%s(?:\[[^\]\r\n]*\])?\s*(?:["';\r\n]|$)`,
	]
	regex.match(sprintf(form, [replace(name, "_", `(?:[-_.]|%5f|%2d|%2e)`)]), text)
}

# The form of a name that has to be decoded.
overriding_text(text) if {
	contains(folded(text), "name*")
	regex.match(`(?i);\s*name\*[0-9*]*\s*=`, text)
}

# As patterns with (?i) compare: U+017F is an `s` there, and U+212A a `k`.
folded(text) := lower(upper(text))
