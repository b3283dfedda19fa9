# METADATA
# scope: package
# title: Customers can be told apart
# description: Answers keep the last four digits of a card, and a hash in the place of a customer number, so that rows of one customer are seen to be that.
# custom:
#   id: http.known_customers
#   severity: medium
#   mode: enforce
package holdpoint.policies.http.known_customers

operators := {"card": "partial", "acme-customer": "hash"}

findings contains finding if {
	some kind, operator in operators
	finding := {
		"code": sprintf("%s-%s", [kind, operator]),
		"effect": "mask",
		"message": "Of cards the last four digits are left, of customer numbers a hash.",
		"mask": {"kinds": [kind], "operator": operator, "lanes": ["response"]},
	}
}
