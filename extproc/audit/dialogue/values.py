"""Recorded values as text: what a type's binary form means, as far as it is known."""

from extproc.domain.json import JSON
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.binary import READ
from extproc.protocols.postgres.values import told


def read_value(value: bytes | None, form: int | None, kind: int) -> JSON:
    """A value as text, None for NULL, or `bytes` and `why` of one that can't be read. `form` is 0 for text, 1 for
    binary and None where nobody knows; `kind` is the type's OID, 0 where that is not known."""
    if form is None:
        found = told(value, 0, kind)
        # What is no text that anybody would print was sent in binary.
        return found if not isinstance(found, str) or found.isprintable() else told(value, 1, 0)
    found = told(value, form, kind)
    read = READ.get(kind)
    if value is None or form == 0 or read is None or not isinstance(found, dict):
        return found
    try:
        return read(value).decode()
    except (MaskError, UnicodeDecodeError):
        return found
