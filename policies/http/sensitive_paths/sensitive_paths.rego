# METADATA
# scope: package
# title: Addresses that agents have no business with
# description: Administration, debugging, internals, version control, secrets and instance metadata are refused whatever the method.
# custom:
#   id: http.sensitive_paths
#   severity: high
#   mode: enforce
package holdpoint.policies.http.sensitive_paths

import data.holdpoint.lib.http

settings := data.holdpoint.config.policies["http.sensitive_paths"]

findings contains finding if {
	sensitive
	not excepted
	finding := {
		"code": "sensitive-path",
		"effect": "block",
		"message": "This address is not open to agents.",
	}
}

# Two servers may read such a path as two different resources, so there is no exception to this one.
findings contains finding if {
	http.disguised
	finding := {
		"code": "disguised-path",
		"effect": "block",
		"message": "The path is encoded twice, climbs, or has control characters; write it plainly.",
	}
}

sensitive if count({word | some word in settings.anywhere} & {word | some word in http.words}) > 0

sensitive if strings.any_prefix_match(http.words, settings.starting_with)

sensitive if http.words[0] in settings.first

sensitive if {
	some sequence in settings.sequences
	contains(path, sprintf("/%s/", [sequence]))
}

path := sprintf("/%s/", [concat("/", http.words)])

excepted if {
	some name in {input.target.name, "*"}
	some prefix in settings.exceptions[name]
	startswith(path, sprintf("/%s/", [trim(lower(prefix), "/")]))
}
