"""Answers of language models that arrive in pieces."""
