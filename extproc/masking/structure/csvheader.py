"""The first line of CSV: what separates cells, and what the columns are called."""

import re
from functools import lru_cache

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.scanner import scan
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.names import Asked, names

DELIMITERS = (b",", b";", b"\t", b"|")

_QUOTED = re.compile(rb'"(?:[^"]|"")*"')
BOM = b"\xef\xbb\xbf"
_NAME_LENGTH = 64


def delimiter(line: bytes) -> bytes:
    """What occurs most often outside quotes; a comma where nothing does."""
    bare = _QUOTED.sub(b"", line)
    return max(DELIMITERS, key=bare.count)


@lru_cache(maxsize=64)
def called(plan: Plan) -> Pattern | None:
    """Where a cell may say a name that a mask selects: it may stand in any line, behind a title, a blank line, or a
    first line that is too long. None where no name is selected."""
    if not plan.keys:
        return None
    spelt = {form for key in plan.keys for form in (key, key.lower(), key.upper(), key.title())}
    words = "|".join(re.escape(form.encode().decode("latin-1")) for form in sorted(spelt))
    return Pattern(rf"(?:\A|[,;\t|\r\n\x22 \xbf])(?i:{words})[ \t\x22]*(?:[,;\t|\r\n\x22]|\z)")


def says(plan: Plan, cell: bytes) -> str | None:
    """The kind that a cell selects by what it says, of the cells below it."""
    return names(plan).selected(cell.decode("utf-8", "replace").strip(" \t\ufeff\"'"))


def sure(plan: Plan, cells: list[bytes]) -> None:
    """Raises MaskError where a name that a mask selects stands in a first line beside another separator than ours: a
    reader that takes that one sees other columns."""
    for cell in cells:
        parts = re.split(rb"[,;\t|]", cell)
        if len(parts) > 1 and any(says(plan, part) for part in parts):
            raise MaskError("CSV whose first line has a name to mask, and more than one separator around it")


def columns(plan: Plan, cells: list[bytes]) -> tuple[Asked, ...]:
    """The columns that these cells name; none where all of them look like data: no letters, a value, a long text."""
    texts = [cell.removeprefix(BOM).decode("utf-8", "replace").strip() for cell in cells]
    if not any(_is_name(plan, text) for text in texts):
        return ()
    return tuple(map(names(plan).asked, texts))


def _is_name(plan: Plan, text: str) -> bool:
    return len(text) <= _NAME_LENGTH and any(map(str.isalpha, text)) and not scan(plan.detector, text)
