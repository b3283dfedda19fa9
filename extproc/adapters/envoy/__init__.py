"""Envoy's configuration, generated from a plan with typed messages.

`plan` has the input, `generate` makes the resources, `files` writes them, `validate` asks Envoy what it thinks of them.
Everything but `plan`, `destinations`, `endpoints` and `replace` imports envoy-data-plane (half a second and more):
never import that from a worker.
"""
