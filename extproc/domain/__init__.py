"""The vocabulary: pure values that every other part speaks in. No I/O, no clock, no logging."""
