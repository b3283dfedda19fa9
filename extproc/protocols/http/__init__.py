"""HTTP: one request and its response as a sans-io session; LLM chat is an interpretation of it."""
