"""Envoy's configuration, generated from a plan with typed messages.

`plan` has the input, `generate` makes the resources, `files` writes them, `validate` asks Envoy what it thinks of them.
Everything but `plan` imports envoy-data-plane (half a second and more): never import those from a worker.
"""
