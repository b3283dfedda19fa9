package holdpoint.policies.any.copied_token_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.any.copied_token

seen(networks, environments) := testing.with_history({"credential": {"networks": networks, "environments": environments}})

found := {[f.code, f.effect] | some f in copied_token.findings}

test_places if {
	found == set() with input as seen(["10.0.0.0/24"], ["dev", "production"])
	found == {["history-several-networks", "hold"]} with input as seen(["10.0.0.0/24", "10.0.1.0/24"], [])
	found == {["history-several-networks", "block"]} with input as seen(["a", "b", "c", "d"], [])
	found == {["history-several-environments", "hold"]} with input as seen(["a"], ["dev", "production", "staging"])
}
