package holdpoint.policies.postgres.copy_places_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.postgres.copy_places

copy(direction, place) := testing.statement("copy", {"copy": {"direction": direction, "place": place, "name": "/tmp/x"}})

found(environment, statement) := result if {
	result := testing.codes(copy_places.findings) with input as testing.postgres(environment, [{}, statement])
}

test_files_and_programs_are_blocked_everywhere if {
	every environment in ["production", "dev"] {
		every direction in ["in", "out"] {
			found(environment, copy(direction, "program")) == {"copy-program"}
			found(environment, object.union(copy(direction, "file"), {"within": "prepare"})) == {"copy-file"}
			found(environment, copy(direction, "client")) == set()
		}
	}
}

test_a_place_that_nobody_told_is_blocked if {
	found("dev", testing.statement("copy", {})) == {"copy-unknown"}
	found("dev", testing.statement("copy", {"copy": {"direction": "in"}})) == {"copy-unknown"}
}
