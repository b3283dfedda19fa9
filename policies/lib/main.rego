# METADATA
# scope: package
# title: Entrypoint
# description: |
#   Composes the findings of every policy into one decision. It names no policy: what is loaded under
#   data.holdpoint.policies.<family>.<name> takes part, where the family is the action's protocol or `any`.
#   block > hold > allow; masks union; approval requirements are a list; nothing found is a block.
package holdpoint.main

import data.holdpoint.lib.approval

# METADATA
# description: The decision document (policies/schemas/decision.json) for the action in the input.
# entrypoint: true
decision := {
	"schema": 1,
	"effect": effect,
	"revision": revision,
	"reasons": reasons,
	"obligations": object.union({"mask": masks, "approval": approvals, "record": record}, limit),
}

effect := "block" if {
	"block" in effects
} else := "hold" if {
	"hold" in effects
} else := "allow" if {
	"allow" in effects
} else := "block"

effects := {o.effect | some o in outcomes; o.mode == "enforce"}

default revision := "none"

revision := data.holdpoint.revision

default record := "full"

# Whoever asks for the least has it: what is not kept can't be read by the wrong people.
record := "metadata" if {
	"metadata" in recordings
} else := "head" if {
	"head" in recordings
} else := data.holdpoint.config.record.default

recordings contains data.holdpoint.config.record.default

recordings contains o.record if {
	some o in outcomes
	o.mode == "enforce"
}

# An outcome is a finding made whole: {policy, mode, effect, mask, approval, record, reason}.
# Its effect may also be "mask", which lays a duty on the action and grants nothing.
# Only a policy that found something costs more than its own rules.
outcomes contains made if {
	some family in {input.action.protocol, "any"}
	some name
	some finding in data.holdpoint.policies[family][name].findings
	id := concat(".", [family, name])
	not data.holdpoint.config.policies[id].enabled == false
	made := attributed(id, finding)
}

outcomes contains broken("holdpoint", "unknown-schema", "The policy input has an unknown schema.") if {
	not input.schema == 1
}

outcomes contains broken("holdpoint", "unversioned-policy", "The policy bundle has no revision or no configuration.") if {
	not versioned
}

# Who is enforced and can't see what it judges by, blocks. The policies that read a part of the history are listed when the
# bundle is built (METADATA `reads`), those that are enforced and have something to do.
outcomes contains broken(id, "history-unknown", "What was done lately can't be told at the moment. Try again soon.") if {
	not input.history.known == true
	not data.holdpoint.config.history.unknown == "ignore"
	some id in data.holdpoint.readers.history
	split(id, ".")[0] in {input.action.protocol, "any"}
}

outcomes contains broken(id, "history-uncounted", "A budget can't be told at the moment. Try again soon.") if {
	not input.history.used
	some id in data.holdpoint.readers["history.used"]
	split(id, ".")[0] in {input.action.protocol, "any"}
}

versioned if {
	is_string(data.holdpoint.revision)
	is_object(data.holdpoint.config.policies)
}

# A policy whose metadata is incomplete has no say but to block.
attributed(id, finding) := whole(id, severity, mode, finding) if {
	severity := data.holdpoint.metadata[id].severity
	is_string(severity)
	mode := mode_of(id)
	mode in {"enforce", "shadow"}
} else := broken(id, "no-metadata", "This policy has no usable metadata.")

mode_of(id) := data.holdpoint.config.policies[id].mode

mode_of(id) := data.holdpoint.metadata[id].mode if not data.holdpoint.config.policies[id].mode

whole(id, severity, mode, finding) := outcome("block", [id, "malformed-finding", malformed, severity, mode], {}, set(), "full") if {
	not well_formed(finding)
} else := held(id, severity, mode, finding) if {
	finding.effect == "hold"
} else := outcome(
	finding.effect,
	[id, finding.code, finding.message, severity, mode],
	duties(finding),
	set(),
	object.get(finding, "record", "full"),
)

# Shadow findings are told as what they would have been, whether or not somebody approved.
held(id, severity, mode, finding) := outcome(
	"allow",
	[id, "approved", sprintf("Approved: %s", [finding.message]), severity, mode],
	duties(finding),
	set(),
	object.get(finding, "record", "full"),
) if {
	mode == "enforce"
	count(approval.unmet(id, finding)) == 0
} else := outcome(
	"hold",
	[id, finding.code, finding.message, severity, mode],
	duties(finding),
	approval.unmet(id, finding),
	object.get(finding, "record", "full"),
)

# What a finding asks for beside its effect.
duties(finding) := {"mask": object.get(finding, "mask", {}), "limit": object.get(finding, "limit", {})}

outcome(effect_of, [id, code, message, severity, mode], asked, requirements, recording) := {
	"policy": id,
	"mode": mode,
	"effect": effect_of,
	"mask": object.get(asked, "mask", {}),
	"limit": object.get(asked, "limit", {}),
	"approval": requirements,
	"record": recording,
	"reason": {
		"policy": id,
		"code": code,
		"message": message,
		"severity": severity,
		"mode": mode,
		"effect": shown_effect[effect_of],
	},
}

broken(id, code, message) := outcome("block", [id, code, message, "high", "enforce"], {}, set(), "full")

# A duty stands beside whatever else was decided, so it is shown as what forbids nothing.
shown_effect := {"allow": "allow", "block": "block", "hold": "hold", "mask": "allow"}

malformed := "This policy gave a malformed finding."

# An unknown member may be a misspelt obligation, so a finding that has one is not a finding.
well_formed(finding) if {
	count(object.keys(finding) - {"code", "effect", "message", "mask", "limit", "approval", "record"}) == 0
	is_string(finding.code)
	is_string(finding.message)
	finding.effect in {"allow", "block", "hold", "mask"}
	mask_fits(object.get(finding, "mask", {}))
	limit_fits(object.get(finding, "limit", {}))
	object.get(finding, "record", "full") in {"full", "head", "metadata"}
	approval.well_formed(finding)
}

mask_fits({})

# Whoever says how to mask says what, or a duty would be lost.
mask_fits(mask) if {
	said := object.keys(mask)
	count(said - {"kinds", "keys", "except", "operator", "malformed", "lanes"}) == 0
	count(said & {"kinds", "keys"}) > 0
	object.get(mask, "operator", "redact") in {"redact", "partial", "hash", "null", "length", "drop"}
	object.get(mask, "malformed", "block") in {"block", "text"}
}

# What a limit counts.
limited := {"rows", "bytes", "seconds", "rows_per_hour", "bytes_per_hour"}

limit_fits(limit) if {
	count(object.keys(limit) - (limited | {"read_only"})) == 0
	every name in limited & object.keys(limit) {
		is_number(limit[name])
		limit[name] >= 1
		floor(limit[name]) == limit[name]
	}
	is_boolean(object.get(limit, "read_only", false))
}

# The least that anybody allows; nothing where nobody says how far.
limit := {"limit": limits} if {
	count(limits) > 0
} else := {}

limits := object.union(
	{name: min(said) |
		some name in limited
		said := {o.limit[name] | some o in outcomes; o.mode == "enforce"}
		count(said) > 0
	},
	{"read_only": true | some o in outcomes; o.mode == "enforce"; o.limit.read_only == true},
)

masks := [mask |
	some o in outcomes
	o.mode == "enforce"
	select := {"kinds": object.get(o.mask, "kinds", []), "keys": object.get(o.mask, "keys", [])}
	count(select.kinds) + count(select.keys) > 0
	mask := object.union(
		{
			"policy": o.policy,
			"select": object.union(select, object.filter(o.mask, ["except"])),
			"operator": object.get(o.mask, "operator", "redact"),
			"lanes": object.get(o.mask, "lanes", ["request", "response"]),
		},
		object.filter(o.mask, ["malformed"]),
	)
]

approvals := [requirement |
	some requirement in {r | some o in outcomes; o.mode == "enforce"; some r in o.approval}
]

# The gravest first, so that whoever reads one line reads the right one; what changes nothing comes last.
reasons := array.concat(no_rule, [reason | some [_, reason] in {[rank(o), o.reason] | some o in outcomes}])

rank(o) := {"block": 0, "hold": 1, "allow": 2, "mask": 3}[o.effect] if o.mode == "enforce"

rank(o) := 4 if o.mode == "shadow"

no_rule := [] if {
	count(effects - {"mask"}) > 0
} else := [{
	"policy": "holdpoint",
	"code": "no-rule",
	"message": "No rule allows this.",
	"severity": "high",
	"mode": "enforce",
	"effect": "block",
}]
