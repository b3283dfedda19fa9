"""What Envoy and the workers agree on that it hands connections over to whole."""

ALIVE = b"holdpoint\n"
"""What a worker answers to a connection that Envoy makes for itself: its event loop runs."""

UNIQUE_ID = 0x05
"""PP2_TYPE_UNIQUE_ID (HAProxy's `doc/proxy-protocol.txt`, section 2.2.5): the TLV of a PROXY head in which Envoy says
what it calls the connection."""
