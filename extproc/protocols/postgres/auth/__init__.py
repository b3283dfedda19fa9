"""Who is who on a PostgreSQL connection: the client to the gateway, and the gateway to the server."""
