package holdpoint.policies.http.writes_in_production_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.writes_in_production

groups := {f.approval.group | some f in writes_in_production.findings}

test_writes_are_held if {
	every method in ["POST", "PUT", "PATCH", "post", "Patch"] {
		given := testing.http("production", testing.request(method, "/customers/7"))
		testing.codes(writes_in_production.findings) == {"write"} with input as given
		groups == {"operators"} with input as given
	}
}

test_a_target_names_its_own_approvers if {
	given := testing.http("production", testing.request("POST", "/customers"))
	groups == {"crm-owners"} with input as given
		with data.holdpoint.config.targets.crm as {"approval_group": "crm-owners"}
}

test_money_is_for_finance_on_every_target if {
	every path in [
		"/refunds", "/v1/Payments/7", "/wireTransfer", "/orders/7/create-refund", "/payouts;x=1", "/charges",
		"/customers/7\\refund",
	] {
		given := testing.http("production", testing.request("POST", path))
		testing.codes(writes_in_production.findings) == {"money"} with input as given
		groups == {"finance"} with input as given
			with data.holdpoint.config.targets.crm as {"approval_group": "crm-owners"}
	}
}

test_reading_money_is_reading if {
	given := testing.http("production", testing.request("GET", "/refunds/7"))
	count(writes_in_production.findings) == 0 with input as given
}

test_model_calls_are_not_writes if {
	facts := object.union(testing.request("POST", "/v1/chat/completions"), {
		"body": {"inspected": true, "size": 60, "json": {"messages": []}},
		"llm": {"model": "m", "stream": false, "tools": [], "messages": 0, "tool_results": 0},
	})
	given := testing.http("production", facts)
	count(writes_in_production.findings) == 0 with input as given
}

# The path alone makes no model call of a write.
test_a_body_that_is_no_chat_is_a_write if {
	facts := object.union(
		testing.request("POST", "/v1/chat/completions"),
		{"body": {"inspected": true, "size": 12, "json": {"amount": 5}}},
	)
	given := testing.http("production", facts)
	testing.codes(writes_in_production.findings) == {"write"} with input as given
}

test_a_path_that_only_ends_so_is_a_write if {
	given := testing.http("production", testing.request("POST", "/x/v1/embeddings"))
	testing.codes(writes_in_production.findings) == {"write"} with input as given
}

test_outside_production_nothing_is_found if {
	given := testing.http("staging", testing.request("POST", "/refunds"))
	count(writes_in_production.findings) == 0 with input as given
}
