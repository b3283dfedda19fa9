"""PostgreSQL, frontend/backend protocol 3: its messages, and a session that asks before each statement."""
