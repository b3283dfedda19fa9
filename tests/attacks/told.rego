# METADATA
# scope: package
# title: Nearly everything passes, and the record tells what policy saw
# description: |
#   The most careless policy there is: it allows whatever the gateway shows it, but for one word in the path. So what
#   stops an attack in these tests is the gateway. The facts are spelled in letters only, which no detector masks.
# custom:
#   id: http.told
#   severity: info
#   mode: enforce
package holdpoint.policies.http.told

import data.holdpoint.lib.http

findings contains {"code": "told", "effect": "allow", "message": spelled}

findings contains {"code": "forbidden", "effect": "block", "message": "This path is forbidden."} if {
	"forbidden" in http.words
}

findings contains {"code": "disguised", "effect": "block", "message": "This path is disguised."} if http.disguised

spelled := strings.replace_n(letters, hex.encode(json.marshal({"action": input.action, "target": input.target.name})))

letters := {
	"0": "g", "1": "h", "2": "i", "3": "j", "4": "k",
	"5": "l", "6": "m", "7": "n", "8": "o", "9": "p",
}
