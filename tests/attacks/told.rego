# METADATA
# scope: package
# title: Nearly everything passes, and the record tells what policy saw
# description: |
#   The most careless policy there is: it allows whatever the gateway shows it, but for one word in the path. So what
#   stops an attack in these tests is the gateway. The facts are spelled in letters only, which no detector masks, and in
#   pieces that a record keeps whole; of a long text they have its hash.
# custom:
#   id: http.told
#   severity: info
#   mode: enforce
package holdpoint.policies.http.told

import data.holdpoint.lib.http

findings contains {"code": sprintf("told-%03d", [i]), "effect": "allow", "message": piece} if {
	some i in numbers.range(0, floor(count(spelled) / 2000))
	piece := substring(spelled, i * 2000, 2000)
	piece != ""
}

findings contains {"code": "forbidden", "effect": "block", "message": "This path is forbidden."} if {
	"forbidden" in http.words
}

findings contains {"code": "disguised", "effect": "block", "message": "This path is disguised."} if http.disguised

spelled := strings.replace_n(letters, hex.encode(json.marshal({"action": short, "target": input.target.name})))

short := json.patch(input.action, [{"op": "replace", "path": path, "value": concat("", ["sha256:", crypto.sha256(text)])} |
	[path, text] := walk(input.action)
	is_string(text)
	count(text) > 500
])

letters := {
	"0": "g", "1": "h", "2": "i", "3": "j", "4": "k",
	"5": "l", "6": "m", "7": "n", "8": "o", "9": "p",
}
