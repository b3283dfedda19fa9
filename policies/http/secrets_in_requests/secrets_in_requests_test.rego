package holdpoint.policies.http.secrets_in_requests_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.secrets_in_requests

families := {
	"aws-key": "secret", "github-token": "secret", "jwt": "secret", "private-key": "secret", "password": "secret",
	"acme-key": "secret", "email": "contact",
}

given(method, body, kinds) := testing.http("production", {
	"method": method,
	"body": body,
	"sensitive": {"address": {}, "headers": {}, "body": kinds, "families": families},
})

whole := {"inspected": true, "size": 40}

unread := {"inspected": false, "size": null}

test_nothing_found_is_nothing_said if {
	count(secrets_in_requests.findings) == 0 with input as given("POST", whole, {"email": 3, "jwt": 0})
}

test_secrets_are_masked_on_the_way_out if {
	{[f.code, f.effect, f.mask] | some f in secrets_in_requests.findings} == {[
		"secret-masked",
		"mask",
		{"kinds": ["secret"], "except": ["password", "secret-assignment"], "lanes": ["request"]},
	]} with input as given("POST", whole, {"aws-key": 1, "email": 1})
}

# What a company adds is of a family too, and so is meant.
test_a_kind_that_nobody_named_is_masked if {
	testing.codes(secrets_in_requests.findings) == {"secret-masked"} with input as given("POST", whole, {"acme-key": 1})
}

test_a_password_is_ordinary_traffic if {
	count(secrets_in_requests.findings) == 0 with input as given("POST", whole, {"password": 1})
	in_address := {"address": {"password": 1}, "headers": {}, "body": {}, "families": families}
	count(secrets_in_requests.findings) == 0 with input as testing.http("production", {"sensitive": in_address})
}

test_a_family_may_be_blocked if {
	testing.codes(secrets_in_requests.findings) == {"jwt", "acme-key"} with input as given("POST", whole, {"jwt": 1, "acme-key": 2})
		with data.holdpoint.config.policies["http.secrets_in_requests"].block_kinds as ["secret"]
}

test_a_private_key_is_blocked if {
	testing.codes(secrets_in_requests.findings) == {"private-key"} with input as given("POST", whole, {"private-key": 1})
}

test_a_secret_in_the_address_is_blocked_whatever_the_body if {
	some method, body in {"GET": {"inspected": true, "size": 0}, "POST": whole, "PUT": unread}
	some_secret := {"address": {"github-token": 1}, "headers": {}, "body": {}, "families": families}
	codes := testing.codes(secrets_in_requests.findings) with input as testing.http(
		"production",
		{"method": method, "body": body, "sensitive": some_secret},
	)
	"secret-in-address" in codes
}

test_a_secret_in_a_header_is_masked if {
	in_header := {"address": {}, "headers": {"jwt": 1}, "body": {}, "families": families}
	testing.codes(secrets_in_requests.findings) == {"secret-masked"} with input as testing.http(
		"production",
		{"method": "GET", "body": {"inspected": true, "size": 0}, "sensitive": in_header},
	)
}

test_a_body_that_nobody_read_is_masked_whole if {
	testing.codes(secrets_in_requests.findings) == {"unread-body-masked"} with input as given("POST", unread, {})
	count(secrets_in_requests.findings) == 0 with input as given("POST", unread, {})
		with data.holdpoint.config.policies["http.secrets_in_requests"].unmasked_targets as ["crm"]
}

# A read may carry a body too; one without is known whole.
test_a_body_is_masked_whatever_the_method if {
	every method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE"] {
		every body in [unread, {"inspected": false, "size": 5}] {
			testing.codes(secrets_in_requests.findings) == {"unread-body-masked"} with input as given(method, body, {})
		}
		every body in [{"inspected": true, "size": 0}, {"inspected": false, "size": 0}] {
			count(secrets_in_requests.findings) == 0 with input as given(method, body, {})
		}
	}
}

test_a_private_key_is_masked_where_nobody_reads_the_body if {
	{f.mask.kinds | some f in secrets_in_requests.findings} == {["secret"], ["private-key", "credential"]} with input as given("POST", unread, {})
}
