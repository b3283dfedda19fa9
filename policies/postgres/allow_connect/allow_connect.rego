# METADATA
# scope: package
# title: Connections may open
# description: |
#   Opening a connection reads and writes nothing, and each statement is decided by itself. Who may use which target is
#   `any.target_groups`'s business.
# custom:
#   id: postgres.allow_connect
#   severity: info
#   mode: enforce
package holdpoint.policies.postgres.allow_connect

findings contains finding if {
	input.action.verb == "CONNECT"
	input.action.facts.phase == "connect"
	finding := {
		"code": "connect",
		"effect": "allow",
		"message": "Connecting is allowed; each statement is decided by itself.",
	}
}
