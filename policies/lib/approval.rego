# METADATA
# scope: package
# title: Approval requirements
# description: Reads what a finding asks of people, and whether the input says that it was met for this very action.
package holdpoint.lib.approval

# METADATA
# description: |
#   The requirements of a finding as a set of {policy, group, quorum, expires_in_seconds}. `approval` in a finding is
#   one requirement or a list of them; quorum and expiry default to data.holdpoint.config.approvals.
requirements(id, finding) := {requirement |
	some asked in listed(object.get(finding, "approval", []))
	is_string(asked.group)
	requirement := {
		"policy": id,
		"group": asked.group,
		"quorum": object.get(asked, "quorum", data.holdpoint.config.approvals.quorum),
		"expires_in_seconds": object.get(asked, "expires_in_seconds", data.holdpoint.config.approvals.expires_in_seconds),
	}
}

# METADATA
# description: True if a hold says who may approve, each time in full, and if nothing else says so.
well_formed(finding) if {
	finding.effect == "hold"
	asked := listed(finding.approval)
	count(asked) > 0
	every one in asked {
		is_string(one.group)
		count(object.keys(one) - {"group", "quorum", "expires_in_seconds"}) == 0
	}
}

well_formed(finding) if {
	finding.effect != "hold"
	not finding.approval
}

# METADATA
# description: Those requirements of a finding that nobody, or not enough people, met.
unmet(id, finding) := {requirement |
	some requirement in requirements(id, finding)
	not met(requirement)
}

listed(asked) := [asked] if is_object(asked)

listed(asked) := asked if is_array(asked)

met(requirement) if {
	some given in input.approvals
	given.policy == requirement.policy
	given.group == requirement.group
	voters := {[voter.issuer, voter.subject] | some voter in given.approvers; not own(voter)}
	count(voters) >= requirement.quorum
}

# Nobody approves what they ask for, nor what acts for them. The store refuses such a vote too.
own(voter) if {
	voter.issuer == input.principal.issuer
	voter.subject == input.principal.subject
}

own(voter) if voter.subject == input.principal.acts_for
