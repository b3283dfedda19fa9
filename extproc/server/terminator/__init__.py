"""Where connections of protocols other than HTTP end: Envoy hands them over on a worker's unix socket, whole, with what
it knows of the client in a PROXY head."""
