# METADATA
# scope: package
# title: Reads are allowed
# description: GET, HEAD and OPTIONS change nothing on a well-behaved upstream, so they pass everywhere.
# custom:
#   id: http.allow_reads
#   severity: info
#   mode: enforce
package holdpoint.policies.http.allow_reads

import data.holdpoint.lib.http

# Exact on purpose: `get` is another method, and TRACE or CONNECT never pass as reads.
findings contains {"code": "read", "effect": "allow", "message": "Reading is allowed."} if http.read
