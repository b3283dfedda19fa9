"""The processes that `up` starts, each put together in a module of its own that imports no more than it needs."""
