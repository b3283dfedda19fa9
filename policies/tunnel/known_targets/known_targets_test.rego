package holdpoint.policies.tunnel.known_targets_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.tunnel.known_targets

tunnel(verb, facts) := object.union(testing.http("production", {}), {"action": {
	"protocol": "tunnel",
	"verb": verb,
	"resource": "bank.test:443",
	"facts": facts,
}})

test_tunnels_open_and_say_what_is_read if {
	every case in [[true, "tunnel-opaque"], [false, "tunnel-intercepted"]] {
		given := tunnel("CONNECT", {"host": "bank.test", "port": 443, "opaque": case[0]})
		testing.codes(known_targets.findings) == {case[1]} with input as given
	}
}

test_nothing_else_opens if {
	every given in [tunnel("GET", {"opaque": true}), tunnel("CONNECT", {}), tunnel("CONNECT", {"opaque": "yes"})] {
		count(known_targets.findings) == 0 with input as given
	}
}
