# METADATA
# scope: package
# title: Tunnels to targets may open
# description: |
#   What goes through a tunnel (CONNECT on the proxy's listener) is decided request by request, unless its target is
#   opaque: then nobody reads it, and whoever configured the target has said that it may be so.
# custom:
#   id: tunnel.known_targets
#   severity: info
#   mode: enforce
package holdpoint.policies.tunnel.known_targets

findings contains {"code": "tunnel-intercepted", "effect": "allow", "message": message} if {
	input.action.verb == "CONNECT"
	input.action.facts.opaque == false
	message := "What goes through this tunnel is decided request by request."
}

findings contains {"code": "tunnel-opaque", "effect": "allow", "message": message} if {
	input.action.verb == "CONNECT"
	input.action.facts.opaque == true
	message := "The target is configured as opaque: what goes through this tunnel is not read."
}
