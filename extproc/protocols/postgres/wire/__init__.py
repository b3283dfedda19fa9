"""The messages of PostgreSQL's frontend/backend protocol 3.0 and 3.2: bytes to values and back, no meaning."""
