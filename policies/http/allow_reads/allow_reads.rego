# METADATA
# scope: package
# title: Reads are allowed
# description: |
#   GET, HEAD and OPTIONS without a body change nothing on a well-behaved upstream, so they pass everywhere. With a body
#   they are no reads: where an upstream wants that (a search, say), a rule of its own allows it.
# custom:
#   id: http.allow_reads
#   severity: info
#   mode: enforce
package holdpoint.policies.http.allow_reads

import data.holdpoint.lib.http

# Exact on purpose: `get` is another method, and TRACE or CONNECT never pass as reads.
findings contains {"code": "read", "effect": "allow", "message": "Reading is allowed."} if http.read
