package holdpoint.policies.http.pii_in_responses_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.pii_in_responses

mask := finding.mask if some finding in pii_in_responses.findings

test_values_and_keys_are_masked_on_the_way_back if {
	given := testing.http("production", {})
	{"secret", "financial", "identity"} - {kind | some kind in mask.kinds} == set() with input as given
	{"ssn", "password", "secret", "token", "card_number"} - {key | some key in mask.keys} == set() with input as given
	mask.lanes == ["response"] with input as given
}

# E-mail, phone numbers, addresses of machines and dates of birth are in any answer that is worth asking for.
test_ordinary_answers_are_left_alone if {
	given := testing.http("production", {})
	{kind | some kind in mask.kinds} & {"*", "pii", "contact", "network", "email", "phone", "ip"} == set() with input as given
	"birth-date" in mask.except with input as given
}

test_it_allows_nothing if {
	given := testing.http("production", {})
	{f.effect | some f in pii_in_responses.findings} == {"mask"} with input as given
}

test_a_models_answer_keeps_its_keys if {
	given := testing.http("production", testing.request("POST", "/v1/embeddings"))
	count(mask.keys) == 0 with input as given
	"financial" in mask.kinds with input as given
}

test_data_may_leave_a_target_out if {
	given := testing.http("production", {})
	count(pii_in_responses.findings) == 0 with input as given
		with data.holdpoint.config.policies["http.pii_in_responses"].unmasked_targets as ["crm"]
}
