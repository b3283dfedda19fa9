"""Rules: what sensitive values look like, as data."""
