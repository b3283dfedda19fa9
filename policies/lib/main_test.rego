package holdpoint.main_test

import data.holdpoint.lib.testing
import data.holdpoint.main

base := testing.http("production", {})

metadata := {
	"http.a": {"severity": "low", "mode": "enforce"},
	"http.b": {"severity": "high", "mode": "enforce"},
	"postgres.a": {"severity": "low", "mode": "enforce"},
	"any.c": {"severity": "info", "mode": "enforce"},
}

config := {"policies": {}, "approvals": {"quorum": 1, "expires_in_seconds": 900}}

decide(policies, given, config_given) := decision if {
	decision := main.decision with input as given
		with data.holdpoint.policies as policies
		with data.holdpoint.metadata as metadata
		with data.holdpoint.config as config_given
		with data.holdpoint.revision as "r1"
}

finding(effect) := {"code": effect, "effect": effect, "message": "m"}

held := object.union(finding("hold"), {"approval": {"group": "ops"}})

masking := object.union(finding("mask"), {"mask": {"kinds": ["card"], "lanes": ["response"]}})

one(findings) := {"http": {"a": {"findings": findings}}}

codes(decision) := [r.code | some r in decision.reasons]

approved_by(voters) := object.union(base, {"approvals": [{"policy": "http.a", "group": "ops", "approvers": voters}]})

ann := {"issuer": "https://people.test", "subject": "ann"}

self := {"issuer": "https://idp.test", "subject": "bot"}

test_nothing_found_is_a_block if {
	decision := decide(one(set()), base, config)
	decision.effect == "block"
	codes(decision) == ["no-rule"]
}

test_no_policy_at_all_is_a_block if {
	decide({}, base, config).effect == "block"
}

test_an_explicit_allow_allows if {
	decision := decide(one({finding("allow")}), base, config)
	decision == {
		"schema": 1,
		"effect": "allow",
		"revision": "r1",
		"reasons": [{
			"policy": "http.a", "code": "allow", "message": "m", "severity": "low", "mode": "enforce", "effect": "allow",
		}],
		"obligations": {"mask": [], "approval": [], "record": "full"},
	}
}

test_block_outranks_hold_outranks_allow if {
	all := {"http": {"a": {"findings": {finding("allow"), held}}, "b": {"findings": {finding("block")}}}}
	decide(all, base, config).effect == "block"
	codes(decide(all, base, config)) == ["block", "hold", "allow"]
	decide(one({finding("allow"), held}), base, config).effect == "hold"
}

test_the_family_any_takes_part_and_others_do_not if {
	decide({"any": {"c": {"findings": {finding("allow")}}}}, base, config).effect == "allow"
	decide({"postgres": {"a": {"findings": {finding("allow")}}}}, base, config).effect == "block"
}

test_a_mask_grants_nothing if {
	decision := decide(one({masking}), base, config)
	decision.effect == "block"
	codes(decision) == ["no-rule", "mask"]
}

test_masks_unite_and_outlive_an_approval if {
	all := {"http": {"a": {"findings": {held}}, "b": {"findings": {masking}}}}
	decision := decide(all, approved_by([ann]), config)
	decision.effect == "allow"
	codes(decision) == ["approved", "mask"]
	decision.obligations.mask == [{
		"policy": "http.b", "select": {"kinds": ["card"], "keys": []}, "operator": "redact", "lanes": ["response"],
	}]
}

masked_with(mask) := decide(one({finding("allow"), object.union(finding("mask"), {"mask": mask})}), base, config)

test_a_mask_says_how if {
	every operator in ["redact", "partial", "hash", "null", "length", "drop"] {
		masked_with({"kinds": ["pii"], "operator": operator}).obligations.mask == [{
			"policy": "http.a", "select": {"kinds": ["pii"], "keys": []}, "operator": operator, "lanes": ["request", "response"],
		}]
	}
	masked_with({"kinds": ["secret"], "except": ["jwt"], "keys": ["pin"], "malformed": "text"}).obligations.mask == [{
		"policy": "http.a",
		"select": {"kinds": ["secret"], "keys": ["pin"], "except": ["jwt"]},
		"operator": "redact",
		"lanes": ["request", "response"],
		"malformed": "text",
	}]
}

test_a_mask_that_says_nothing_of_what_or_how_blocks if {
	every mask in [
		{"operator": "hash"}, {"except": ["jwt"]}, {"lanes": ["request"]}, {"malformed": "text"},
		{"kinds": ["card"], "operator": "encrypt"}, {"kinds": ["card"], "operator": null},
		{"kinds": ["card"], "malformed": "pass"}, {"kinds": ["card"], "kind": ["iban"]},
	] {
		decision := masked_with(mask)
		decision.effect == "block"
		"malformed-finding" in codes(decision)
	}
	masked_with({"kinds": []}).obligations.mask == []
}

test_a_hold_says_who_may_approve if {
	decision := decide(one({held}), base, config)
	decision.obligations.approval == [{"policy": "http.a", "group": "ops", "quorum": 1, "expires_in_seconds": 900}]
}

test_an_approval_must_be_for_this_policy_and_group if {
	every changed in [{"policy": "http.b"}, {"group": "finance"}, {"approvers": []}] {
		right := {"policy": "http.a", "group": "ops", "approvers": [ann]}
		given := object.union(base, {"approvals": [object.union(right, changed)]})
		decide(one({held}), given, config).effect == "hold"
	}
}

test_nobody_approves_their_own if {
	decide(one({held}), approved_by([self]), config).effect == "hold"
	owned := object.union(approved_by([ann]), {"principal": object.union(base.principal, {"acts_for": "ann"})})
	decide(one({held}), owned, config).effect == "hold"
}

test_one_person_is_not_a_quorum_of_two if {
	two := object.union(finding("hold"), {"approval": {"group": "ops", "quorum": 2}})
	decide(one({two}), approved_by([ann, ann]), config).effect == "hold"
	decide(one({two}), approved_by([ann, {"issuer": "https://people.test", "subject": "bo"}]), config).effect == "allow"
}

test_all_requirements_must_be_met if {
	both := object.union(finding("hold"), {"approval": [{"group": "ops"}, {"group": "finance"}]})
	decision := decide(one({both}), approved_by([ann]), config)
	decision.effect == "hold"
	[a.group | some a in decision.obligations.approval] == ["finance"]
}

test_shadow_is_told_and_changes_nothing if {
	shadow := object.union(config, {"policies": {"http.b": {"mode": "shadow"}}})
	every effect in ["allow", "block", "hold", "mask"] {
		extra := {"allow": finding("allow"), "block": finding("block"), "hold": held, "mask": masking}[effect]
		all := {"http": {"a": {"findings": {finding("allow")}}, "b": {"findings": {extra}}}}
		decision := decide(all, base, shadow)
		decision.effect == "allow"
		decision.obligations == {"mask": [], "approval": [], "record": "full"}
		[r.mode | some r in decision.reasons] == ["enforce", "shadow"]
	}
	decide({"http": {"b": {"findings": {finding("allow")}}}}, base, shadow).effect == "block"
}

test_the_least_recording_is_asked_for if {
	every least in ["full", "head", "metadata"] {
		some_kept := object.union(finding("allow"), {"record": least})
		decide(one({finding("allow"), some_kept}), base, config).obligations.record == least
		decide(one({some_kept}), base, object.union(config, {"record": {"default": "metadata"}})).obligations.record == "metadata"
	}
	shadow := object.union(config, {"policies": {"http.a": {"mode": "shadow"}}})
	none := object.union(finding("allow"), {"record": "metadata"})
	decide(one({none}), base, shadow).obligations.record == "full"
	wrong := object.union(finding("allow"), {"record": "nothing"})
	decide(one({wrong}), base, config).effect == "block"
}

test_the_least_that_anybody_allows_is_the_limit if {
	far := object.union(finding("allow"), {"limit": {"rows": 1000, "seconds": 30}})
	near := object.union(finding("allow"), {"code": "near", "limit": {"rows": 10, "bytes": 99, "read_only": true}})
	decide(one({far, near}), base, config).obligations.limit == {"rows": 10, "bytes": 99, "seconds": 30, "read_only": true}
	hourly := object.union(finding("allow"), {"code": "hourly", "limit": {"rows_per_hour": 500, "bytes_per_hour": 7}})
	more := object.union(finding("allow"), {"code": "more", "limit": {"rows_per_hour": 501}})
	decide(one({hourly, more}), base, config).obligations.limit == {"rows_per_hour": 500, "bytes_per_hour": 7}
	not decide(one({finding("allow")}), base, config).obligations.limit
	shadow := object.union(config, {"policies": {"http.a": {"mode": "shadow"}}})
	not decide(one({near}), base, shadow).obligations.limit
}

test_a_limit_that_says_nothing_sensible_blocks if {
	every limit in [
		{"rows": 0}, {"rows": "10"}, {"rows": 1.5}, {"rows": null}, {"bytes": -1}, {"read_only": 1}, {"row": 10}, [],
		{"rows_per_hour": 0}, {"per_hour": 1},
	] {
		decision := decide(one({object.union(finding("allow"), {"limit": limit})}), base, config)
		decision.effect == "block"
		"malformed-finding" in codes(decision)
	}
}

test_a_disabled_policy_is_silent if {
	off := object.union(config, {"policies": {"http.a": {"enabled": false}}})
	codes(decide(one({finding("block")}), base, off)) == ["no-rule"]
}

test_a_malformed_finding_blocks if {
	every extra in [
		{"aproval": {"group": "ops"}}, {"effect": "alow"}, {"code": 1}, {"message": null}, {"mask": {"kind": "card"}},
		{"approval": {"group": "ops"}}, {"effect": "hold"}, {"effect": "hold", "approval": []},
		{"effect": "hold", "approval": [{"group": "ops"}, {"grup": "x"}]},
	] {
		decision := decide(one({object.union(finding("allow"), extra)}), base, config)
		decision.effect == "block"
		codes(decision) == ["malformed-finding"]
	}
}

test_missing_metadata_blocks if {
	decision := decide({"http": {"nameless": {"findings": {finding("allow")}}}}, base, config)
	decision.effect == "block"
	codes(decision) == ["no-metadata"]
}

test_an_unknown_mode_blocks if {
	odd := object.union(config, {"policies": {"http.a": {"mode": "shadwo"}}})
	codes(decide(one({finding("allow")}), base, odd)) == ["no-metadata"]
}

test_an_unknown_schema_blocks if {
	given := object.union(base, {"schema": 2})
	codes(decide(one({finding("allow")}), given, config)) == ["unknown-schema", "allow"]
}

test_a_bundle_without_a_revision_blocks if {
	decision := main.decision with input as base
		with data.holdpoint.policies as one({finding("allow")})
		with data.holdpoint.metadata as metadata
		with data.holdpoint.config as config
		with data.holdpoint.revision as null
	decision.effect == "block"
}

test_enforced_and_blind_is_a_block if {
	blind := {"history": ["any.c", "postgres.a"], "history.used": []}
	unknown := decide(one({finding("allow")}), testing.unknown_history, config) with data.holdpoint.readers as blind
	unknown.effect == "block"
	[[r.policy, r.code] | some r in unknown.reasons; r.effect == "block"] == [["any.c", "history-unknown"]]
	decide(one({finding("allow")}), base, config).effect == "allow" with data.holdpoint.readers as blind
	ignored := object.union(config, {"history": {"unknown": "ignore"}})
	decide(one({finding("allow")}), testing.unknown_history, ignored).effect == "allow" with data.holdpoint.readers as blind
}

test_enforced_and_uncounted_is_a_block if {
	reader := {"history": [], "history.used": ["http.b"]}
	uncounted := decide(one({finding("allow")}), base, config) with data.holdpoint.readers as reader
	[[r.policy, r.code] | some r in uncounted.reasons; r.effect == "block"] == [["http.b", "history-uncounted"]]
	counted := testing.with_history({"used": {"all": {"minute": 1, "hour": 1, "day": 1}}})
	decide(one({finding("allow")}), counted, config).effect == "allow" with data.holdpoint.readers as reader
}
