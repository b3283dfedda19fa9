"""OPA: decisions over a kept-alive connection, bundles that are checked before they are served, and the managed server."""
