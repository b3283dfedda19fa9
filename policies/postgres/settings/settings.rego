# METADATA
# scope: package
# title: Settings of the connection
# description: |
#   Settings change what statements mean, or switch off what protects the data. Those that data names as harmless may be set,
#   whether in opening a connection, by SET, set_config() or ALTER; the encoding and the reading of strings only to what the
#   gateway reads by.
# custom:
#   id: postgres.settings
#   severity: high
#   mode: enforce
package holdpoint.policies.postgres.settings

import data.holdpoint.lib.postgres

settings := data.holdpoint.config.policies["postgres.settings"]

findings contains postgres.blocked("setting", "This setting is not changed through the gateway.") if {
	some statement in postgres.setting
	some setting in statement.settings
	not harmless(setting)
}

findings contains postgres.blocked("unread-setting", message) if {
	some statement in postgres.statements
	unread(statement)
	message := "What set_config() sets to what can't be told: name the setting in the text, and give the value as it is."
}

# A setting may be shown later, when nothing masks what it was made of.
unread(statement) if "setting" in statement.unknown

unread(statement) if {
	some function in statement.functions
	lower(function.name) == "set_config"
	count(statement.settings) == 0
}

# ALTER SYSTEM, and ALTER of a role, a database or a function, set what counts from then on.
findings contains postgres.blocked("lasting-setting", message) if {
	some statement in postgres.statements
	statement.kind == "alter"
	some thing in statement.objects
	lower(thing.type) == "parameter"
	message := "Settings that outlast the connection are not changed through the gateway."
}

# pg_settings is a view whose rule calls set_config().
findings contains postgres.blocked("settings-view", message) if {
	some statement in postgres.statements
	some relation in statement.writes
	lower(relation.name) == "pg_settings"
	message := "Settings are changed by SET, not by writing to pg_settings."
}

harmless(setting) if {
	is_string(setting.name)
	some pattern in array.concat(settings.harmless, settings.more)
	glob.match(pattern, [], lower(setting.name))
}

harmless(setting) if {
	is_string(setting.name)
	is_string(setting.value)
	lower(setting.value) in settings.pinned[lower(setting.name)]
}
