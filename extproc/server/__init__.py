"""Where wire meets sessions: the driver that executes their commands, and the ext_proc service."""
