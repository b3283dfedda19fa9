package holdpoint.policies.any.target_groups_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.target_groups

given := testing.http("production", {})

test_any_principal_may_use_a_target_without_groups if {
	count(target_groups.findings) == 0 with input as given
}

test_a_member_may if {
	count(target_groups.findings) == 0 with input as given
		with data.holdpoint.config.targets.crm as {"groups": ["sales", "support"]}
}

test_nobody_else_may if {
	testing.codes(target_groups.findings) == {"not-in-group"} with input as given
		with data.holdpoint.config.targets.crm as {"groups": ["sales"]}
}

test_a_target_without_its_own_follows_the_star if {
	testing.codes(target_groups.findings) == {"not-in-group"} with input as given
		with data.holdpoint.config.targets as {"*": {"groups": ["sales"], "approval_group": ""}, "crm": {"approval_group": "x"}}
}
