# What the tests of every policy build their inputs from.
package holdpoint.lib.testing

# METADATA
# description: An HTTP action on target `crm`; `environment` and any member of the facts can be set.
http(environment, facts) := {
	"schema": 1,
	"principal": {"issuer": "https://idp.test", "subject": "bot", "kind": "agent", "groups": ["support"], "acts_for": null, "credential": "jwt:1"},
	"target": {"name": "crm", "protocol": "http", "environment": environment},
	"session": {"id": "s1"},
	"action": {
		"protocol": "http",
		"verb": "GET",
		"resource": "/",
		"digest": "d",
		"facts": object.union(
			{
				"method": "GET",
				"host": "crm.test",
				"path": "/customers/7",
				"segments": ["customers", "7"],
				"query": {},
				"headers": {"accept": ["*/*"]},
				"content_type": "",
				"body": {"inspected": true, "size": 0},
				"sensitive": {"address": {}, "headers": {}, "body": {}, "families": {}},
			},
			facts,
		),
	},
	"context": {"time": "2026-01-01T00:00:00Z", "source": {"address": "127.0.0.1"}},
	"approvals": [],
	"history": quiet,
}

none := {"minute": 0, "hour": 0, "day": 0}

figures := {
	"requests": none,
	"allowed": none,
	"held": none,
	"blocked": none,
	"bytes": {"request": none, "response": none},
	"blocked_in_a_row": 0,
	"failures_in_a_row": 0,
}

# METADATA
# description: The history of a principal that never did anything.
quiet := {
	"known": true,
	"principal": object.union(figures, {"targets": 0, "hours": {"days": 0, "active": [0 | some _ in numbers.range(0, 23)]}}),
	"target": object.union(figures, {"repeated": []}),
	"credential": {"networks": [], "environments": []},
}

# METADATA
# description: An HTTP action in production with these members of the history over `quiet`.
with_history(members) := object.union(http("production", {}), {"history": members})

# METADATA
# description: An HTTP action in production while nobody knows the figures.
unknown_history := object.union(object.remove(http("production", {}), ["history"]), {"history": {"known": false}})

# METADATA
# description: The facts of a request by method and path; the path is taken as Envoy normalised it.
request(method, path) := {
	"method": method,
	"path": path,
	"segments": [segment | some segment in split(path, "/"); segment != ""],
}

# METADATA
# description: The codes of findings, which is what tests compare.
codes(findings) := {finding.code | some finding in findings}
