"""What is tried: each target is a function of bytes that raises where what ought to be true of them is not."""

from collections.abc import Callable

from tests.fuzz.targets.arrivals import arrivals
from tests.fuzz.targets.leak import leak
from tests.fuzz.targets.readers import readers
from tests.fuzz.targets.rows import database_rows
from tests.fuzz.targets.sessions import sessions
from tests.fuzz.targets.statements import statements
from tests.fuzz.targets.streaming import streaming
from tests.fuzz.targets.structure import structure
from tests.fuzz.targets.wire import wire
from tests.fuzz.targets.work import work

TARGETS: dict[str, Callable[[bytes], None]] = {
    "streaming": streaming,
    "structure": structure,
    "leak": leak,
    "readers": readers,
    "work": work,
    "wire": wire,
    "statements": statements,
    "rows": database_rows,
    "sessions": sessions,
    "arrivals": arrivals,
}

_MASKING = "extproc/masking/"
_POSTGRES = "extproc/protocols/postgres/"

CODE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("streaming", "structure", "leak", "readers", "work"), (_MASKING,)),
    "wire": (f"{_POSTGRES}wire/",),
    "statements": (f"{_POSTGRES}sql/", f"{_POSTGRES}context.py", f"{_POSTGRES}summary.py"),
    "rows": (f"{_POSTGRES}masks/",),
    "sessions": (_POSTGRES,),
    "arrivals": (f"{_POSTGRES}auth/", "extproc/server/terminator/proxy_v2.py"),
}
"""Whose steps make an input of a target worth keeping: parts of the names of files."""
