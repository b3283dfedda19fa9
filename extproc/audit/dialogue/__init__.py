"""Recorded bodies of protocols that talk in messages, read again: for people, for programs and for searching."""
