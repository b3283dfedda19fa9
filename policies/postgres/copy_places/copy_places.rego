# METADATA
# scope: package
# title: COPY goes to the client
# description: COPY from or to a file of the server, or a program there, reaches what is no database. It is refused everywhere.
# custom:
#   id: postgres.copy_places
#   severity: critical
#   mode: enforce
package holdpoint.policies.postgres.copy_places

import data.holdpoint.lib.postgres

findings contains postgres.blocked(sprintf("copy-%s", [place]), message) if {
	some statement in postgres.statements
	statement.kind == "copy"
	place := object.get(statement, ["copy", "place"], "unknown")
	place != "client"
	message := "COPY is allowed to and from the client only: COPY … TO STDOUT, COPY … FROM STDIN."
}
