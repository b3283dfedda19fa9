"""Fuzzing of masking: what is true of every input is tried on inputs that a fuzzer makes (`make fuzz`), and those that
once reached something new, or were a bug, are tried by every test run (corpus/)."""
