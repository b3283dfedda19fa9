"""What the core asks of the outside, implemented: OPA, Envoy, SQLite, OpenTelemetry, identity."""
