# METADATA
# scope: package
# title: Sensitive values
# description: Which of the sensitive values that were found in a request a policy means, by kind or by family.
package holdpoint.lib.masking

# METADATA
# description: |
#   The kinds of values found in a part of the request (address, headers, body) that `names` mean: kinds, families (secret,
#   financial, identity, health, contact, network), `pii` (every family but secret) or `*`. A mask reads its `kinds` alike.
found(part, names) := {kind |
	some kind, n in input.action.facts.sensitive[part]
	n > 0
	named(kind, names)
}

# METADATA
# description: The same of the whole request.
anywhere(names) := union({found(part, names) | some part in ["address", "headers", "body"]})

# METADATA
# description: True if a kind that was found is meant by `names`.
named(kind, names) if kind in names

named(_, names) if "*" in names

named(kind, names) if input.action.facts.sensitive.families[kind] in names

named(kind, names) if {
	"pii" in names
	input.action.facts.sensitive.families[kind] != "secret"
}

# METADATA
# description: True if the family of everything that was found is there; without it a rule that asks for families is silent.
complete if {
	sensitive := input.action.facts.sensitive
	is_object(sensitive.families)
	every part in ["address", "headers", "body"] {
		is_object(sensitive[part])
		every kind, _ in sensitive[part] {
			is_string(sensitive.families[kind])
		}
	}
}
