"""What people and their monitoring talk to: the holds API on a unix socket, health and metrics on TCP."""
