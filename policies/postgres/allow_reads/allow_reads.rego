# METADATA
# scope: package
# title: Reads are allowed
# description: |
#   Statements that change nothing pass everywhere, if all of a text are such: queries, SHOW, cursors, transactions, EXPLAIN,
#   COPY to the client, settings. A query is a read if it takes no locks and calls only functions that are known to compute.
# custom:
#   id: postgres.allow_reads
#   severity: info
#   mode: enforce
package holdpoint.policies.postgres.allow_reads

import data.holdpoint.lib.postgres

findings contains {"code": "read", "effect": "allow", "message": "Reading is allowed."} if {
	every statement in postgres.statements {
		postgres.doing(statement) == "read"
	}
}
