package holdpoint.lib.masking_test

import data.holdpoint.lib.masking
import data.holdpoint.lib.testing

given := testing.http("production", {"sensitive": {
	"address": {},
	"headers": {"jwt": 1},
	"body": {"card": 2, "acme-customer": 1, "iban": 0},
	"families": {"jwt": "secret", "card": "financial", "acme-customer": "contact", "iban": "financial"},
}})

test_names_mean_kinds_and_families if {
	every row in [
		[[], set()],
		[["card"], {"card"}],
		[["financial"], {"card"}],
		[["iban", "health"], set()],
		[["pii"], {"card", "acme-customer"}],
		[["secret"], set()],
		[["*"], {"card", "acme-customer"}],
	] {
		[names, expected] := row
		masking.found("body", names) == expected with input as given
	}
	masking.anywhere(["secret", "contact"]) == {"jwt", "acme-customer"} with input as given
}

test_what_has_no_family_is_not_complete if {
	masking.complete with input as given
	every families in [{}, null, {"jwt": "secret", "card": "financial", "iban": 1}] {
		sensitive := object.union(object.remove(given.action.facts.sensitive, ["families"]), {"families": families})
		not masking.complete with input as testing.http("production", {"sensitive": sensitive})
	}
}
