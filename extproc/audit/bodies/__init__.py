"""What was recorded of bodies: written while they pass, kept by a keyed address of their content, read back verified.

A file holds zstd frames and, last, a skippable frame with the salt of its address: it verifies without the key, and
plain `zstd -d` reads it.
"""
