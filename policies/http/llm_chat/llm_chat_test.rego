package holdpoint.policies.http.llm_chat_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.llm_chat

chat := {
	"api": "chat",
	"model": "m",
	"stream": true,
	"tools": ["refund"],
	"hosted_tools": [],
	"messages": 2,
	"tool_results": 0,
}

test_model_calls_pass_with_masks if {
	facts := object.union(testing.request("POST", "/v1/chat/completions"), {
		"body": {"inspected": true, "size": 90, "json": {"messages": []}},
		"llm": chat,
	})
	given := testing.http("production", facts)
	testing.codes(llm_chat.findings) == {"model-call"} with input as given
	{"secret", "financial", "email"} - {k | some f in llm_chat.findings; some k in f.mask.kinds} == set() with input as given
	{l | some f in llm_chat.findings; some l in f.mask.lanes} == {"request"} with input as given
}

test_responses_and_messages_pass if {
	every path in ["/v1/responses", "/v1/messages"] {
		facts := object.union(testing.request("POST", path), {"llm": chat})
		given := testing.http("production", facts)
		testing.codes(llm_chat.findings) == {"model-call"} with input as given
	}
}

test_hosted_tools_are_for_data_to_allow if {
	call := object.union(chat, {"hosted_tools": ["web_search"]})
	given := testing.http("production", object.union(testing.request("POST", "/v1/responses"), {"llm": call}))
	count(llm_chat.findings) == 0 with input as given
	testing.codes(llm_chat.findings) == {"model-call"} with input as given
		with data.holdpoint.config.llm.hosted_tools as ["web_search"]
}

test_embeddings_models_and_unread_chats_pass if {
	every facts in [
		testing.request("POST", "/v1/embeddings"),
		testing.request("GET", "/v1/models"),
		object.union(testing.request("POST", "/v1/chat/completions"), {"body": {"inspected": false, "size": null}}),
	] {
		given := testing.http("production", facts)
		testing.codes(llm_chat.findings) == {"model-call"} with input as given
	}
}

test_nothing_else_is_a_model_call if {
	every facts in [
		testing.request("POST", "/v1/chat/completions"),
		testing.request("POST", "/v1/Chat/Completions"),
		testing.request("POST", "/v1/responses"),
		testing.request("POST", "/v1/messages"),
		testing.request("POST", "/v1/files"),
		testing.request("DELETE", "/v1/models"),
		testing.request("post", "/v1/embeddings"),
		testing.request("POST", "/crm/v1/embeddings"),
	] {
		given := testing.http("production", facts)
		count(llm_chat.findings) == 0 with input as given
	}
}

test_data_says_which_targets_are_models if {
	given := testing.http("production", testing.request("POST", "/v1/embeddings"))
	count(llm_chat.findings) == 0 with input as given with data.holdpoint.config.llm.targets as ["llm-*"]
}
