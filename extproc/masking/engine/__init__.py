"""The engine: rules compiled, texts and streams searched."""
