"""What an agent's host allows that it should not: ways around the gateway, and secrets lying about.

Needs Python's standard library alone, so that it runs wherever an agent does. Prints and keeps no secret."""
