"""Protocol cores: sans-io sessions that turn bytes into Actions and bytes out under Grants."""
