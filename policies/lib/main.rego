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
	"obligations": {"mask": masks, "approval": approvals, "record": record},
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

record := data.holdpoint.config.record.default

# Findings by policy id. Every loaded policy of the family is here, with an empty set when it found nothing.
found[id] := findings if {
	some family in {input.action.protocol, "any"}
	some name
	findings := data.holdpoint.policies[family][name].findings
	id := concat(".", [family, name])
	not data.holdpoint.config.policies[id].enabled == false
}

# An outcome is a finding made whole: {policy, mode, effect, code, message, mask, approval}.
# Its effect may also be "mask", which lays a duty on the action and grants nothing.
outcomes contains outcome if {
	some id, findings in found
	mode := modes[id]
	some finding in findings
	outcome := whole(id, mode, finding)
}

outcomes contains broken("holdpoint", "unknown-schema", "The policy input has an unknown schema.") if {
	not input.schema == 1
}

outcomes contains broken("holdpoint", "unversioned-policy", "The policy bundle has no revision or no configuration.") if {
	not versioned
}

outcomes contains broken(id, "no-metadata", "This policy has no usable metadata.") if {
	some id, _ in found
	not modes[id]
}

versioned if {
	is_string(data.holdpoint.revision)
	is_object(data.holdpoint.config.policies)
}

# A policy has a mode only if its metadata is complete, so one without metadata has no say but to block.
modes[id] := mode if {
	some id, _ in found
	metadata := data.holdpoint.metadata[id]
	is_string(metadata.severity)
	mode := object.get(data.holdpoint.config.policies, [id, "mode"], metadata.mode)
	mode in {"enforce", "shadow"}
}

whole(id, mode, finding) := broken_as(id, mode, "malformed-finding", "This policy gave a malformed finding.") if {
	not well_formed(finding)
} else := outcome if {
	finding.effect == "hold"
	unmet := approval.unmet(id, finding)
	outcome := held(id, mode, finding, unmet)
} else := {
	"policy": id,
	"mode": mode,
	"effect": finding.effect,
	"code": finding.code,
	"message": finding.message,
	"mask": duties(id, finding),
	"approval": set(),
}

# Shadow findings are told as what they would have been, whether or not somebody approved.
held(id, mode, finding, unmet) := {
	"policy": id,
	"mode": mode,
	"effect": "allow",
	"code": "approved",
	"message": sprintf("Approved: %s", [finding.message]),
	"mask": duties(id, finding),
	"approval": set(),
} if {
	mode == "enforce"
	count(unmet) == 0
} else := {
	"policy": id,
	"mode": mode,
	"effect": "hold",
	"code": finding.code,
	"message": finding.message,
	"mask": duties(id, finding),
	"approval": unmet,
}

# An unknown member may be a misspelt obligation, so a finding that has one is not a finding.
well_formed(finding) if {
	count(object.keys(finding) - {"code", "effect", "message", "mask", "approval"}) == 0
	is_string(finding.code)
	is_string(finding.message)
	finding.effect in {"allow", "block", "hold", "mask"}
	requirements := approval.requirements("", finding)
	approval_fits(finding.effect, count(requirements))
}

approval_fits("hold", n) if n > 0

approval_fits(effect, 0) if effect in {"allow", "block", "mask"}

duties(id, finding) := {duty |
	some mask in object.get(finding, "mask", [])
	duty := object.union({"policy": id, "operator": "redact"}, mask)
}

broken(id, code, message) := broken_as(id, "enforce", code, message)

broken_as(id, mode, code, message) := {
	"policy": id,
	"mode": mode,
	"effect": "block",
	"code": code,
	"message": message,
	"mask": set(),
	"approval": set(),
}

masks := [duty |
	some duty in {d | some o in outcomes; o.mode == "enforce"; some d in o.mask}
]

approvals := [requirement |
	some requirement in {r | some o in outcomes; o.mode == "enforce"; some r in o.approval}
]

# The gravest first, so that whoever reads one line reads the right one; what changes nothing comes last.
reasons := array.concat(array.concat(told("block"), array.concat(told("hold"), told("allow"))), rest)

told(wanted) := [reason(o) | some o in outcomes; o.mode == "enforce"; o.effect == wanted]

rest := array.concat(
	array.concat(no_rule, [reason(o) | some o in outcomes; o.mode == "enforce"; o.effect == "mask"]),
	[reason(o) | some o in outcomes; o.mode == "shadow"],
)

reason(o) := {
	"policy": o.policy,
	"code": o.code,
	"message": o.message,
	"severity": severity(o.policy),
	"mode": o.mode,
	"effect": shown_effect(o.effect),
}

# A duty stands beside whatever else was decided, so it is shown as what forbids nothing.
shown_effect("mask") := "allow"

shown_effect(effect) := effect if effect != "mask"

default severity(_) := "high"

severity(id) := data.holdpoint.metadata[id].severity

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
