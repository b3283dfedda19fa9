"""What XML says of its encoding, at its beginning."""

import re

from extproc.masking.stage import MaskError
from extproc.masking.structure.wide import is_wide

_HEAD = 1 << 10  # bytes in which an XML declaration says its encoding
_FIRST = 8  # a byte order mark and <?xml
_BOM = b"\xef\xbb\xbf"
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']\s*([^"'\s]*)""")
_READ = re.compile(rb"(?i)utf-?8|us-ascii|ascii|latin-?1|iso-8859-[0-9]{1,2}|windows-125[0-9]")


def known(buffer: bytes) -> bool:
    """Whether a document that begins like this has said all that it will say of its encoding."""
    start = buffer.removeprefix(_BOM)
    return len(buffer) >= _HEAD or (len(buffer) >= _FIRST and (not start.startswith(b"<?xml") or b">" in start))


def check(buffer: bytes) -> None:
    """Raises MaskError for an encoding that hides ASCII."""
    head = buffer[:_HEAD]
    if is_wide(head[:4], head[:2]):
        raise MaskError("XML in UTF-16 or UTF-32 can't be inspected; UTF-8 can")
    declared = _DECLARED.match(head.removeprefix(_BOM))
    if declared is not None and not _READ.fullmatch(declared[1]):
        raise MaskError("XML that says it is in a character set that can't be inspected; UTF-8 can")
