# METADATA
# scope: package
# title: Target facts
# description: What the data says of the target that the action is for.
package holdpoint.lib.target

# METADATA
# description: True for the environments that data names as not production. Any other name counts as production.
nonproduction if lower(trim_space(input.target.environment)) in data.holdpoint.config.environments.nonproduction

production if not nonproduction

# METADATA
# description: The target's own setting, or that of the target `*`, which has them all.
setting(name) := value if {
	value := data.holdpoint.config.targets[input.target.name][name]
} else := data.holdpoint.config.targets["*"][name]

# METADATA
# description: Who approves on this target, where a policy's own group is `fallback`.
approval_group(fallback) := group if {
	group := setting("approval_group")
	group != ""
} else := fallback
