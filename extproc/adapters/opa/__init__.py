"""OPA: decisions over a kept-alive connection, bundles checked before they are served, and the managed server."""
