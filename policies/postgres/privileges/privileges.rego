# METADATA
# scope: package
# title: Privileges and roles
# description: |
#   Who may do what at the server is not changed through the gateway in production (GRANT, roles, owners, row security,
#   functions with their owner's privileges), and only with a person's approval elsewhere. The role that a connection works
#   with is its login's: SET ROLE is refused everywhere.
# custom:
#   id: postgres.privileges
#   severity: critical
#   mode: enforce
package holdpoint.policies.postgres.privileges

import data.holdpoint.lib.postgres
import data.holdpoint.lib.target

settings := data.holdpoint.config.policies["postgres.privileges"]

findings contains postgres.blocked("privileges", message) if {
	target.production
	count(changes) > 0
	message := "Privileges, roles and owners are not changed in production through the gateway."
}

findings contains finding if {
	target.nonproduction
	count(changes) > 0
	finding := postgres.held(
		"privileges",
		"Changing privileges, roles or owners needs a person's approval.",
		{"group": target.approval_group(settings.group), "quorum": settings.quorum},
	)
}

findings contains postgres.blocked("role", message) if {
	some statement in postgres.setting
	some name in postgres.settings_of(statement)
	name in settings.role_settings
	message := "The role of a connection is not changed; ask for what this one may do."
}

changes contains statement if {
	some statement in postgres.statements
	changes_privileges(statement)
}

changes_privileges(statement) if statement.kind in settings.statements

changes_privileges(statement) if statement.privileges != null

changes_privileges(statement) if {
	statement.kind in {"alter", "create", "drop", "import"}
	some thing in statement.objects
	lower(thing.type) in settings.types
}

changes_privileges(statement) if {
	some word in statement.action
	some pattern in settings.actions
	glob.match(pattern, [], lower(word))
}
