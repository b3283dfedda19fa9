"""Puts a file in the place of another in one step."""

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> bool:
    """Write by rename, mode 0600, unless this content is there already; True if it was not. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return False
    # mkstemp makes the file 0600 from the start.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
