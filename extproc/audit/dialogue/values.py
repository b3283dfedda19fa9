"""Recorded values as text: what a type's binary form means, as far as it is known."""

from extproc.domain.json import JSON
from extproc.protocols.postgres.values import told


def read_value(value: bytes | None, form: int | None, kind: int) -> JSON:
    """A value as text, None for NULL, or `bytes` and `why` of one that can't be read. `form` is 0 for text, 1 for
    binary and None where nobody knows; `kind` is the type's OID, 0 where that is not known."""
    if form is None:
        found = told(value, 0, kind)
        # What is no text that anybody would print was sent in binary.
        return found if not isinstance(found, str) or found.isprintable() else told(value, 1, 0)
    found = told(value, form, kind)
    if value is None or form == 0 or not isinstance(found, dict):
        return found
    return _read(value, kind) or found


def _read(value: bytes, kind: int) -> str | None:
    """A binary value of a type that masks can read."""
    # A fifth of a second and PostgreSQL's parser come with it, which most who read recordings have no use for.
    from extproc.masking.stage import MaskError
    from extproc.protocols.postgres.masks.binary import READ

    read = READ.get(kind)
    try:
        return None if read is None else read(value).decode()
    except (MaskError, UnicodeDecodeError):
        return None
