"""A long run of a whole gateway under faults, and the proof that its trail lost nothing: `python -m tests.soak`."""
