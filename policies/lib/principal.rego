# METADATA
# scope: package
# title: Principal facts
# description: What the verified identity says.
package holdpoint.lib.principal

# METADATA
# description: True if the principal is in at least one of these groups.
in_any(groups) if {
	some group in groups
	group in input.principal.groups
}
