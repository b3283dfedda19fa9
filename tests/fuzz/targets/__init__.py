"""What is tried: each target is a function of bytes that raises where what ought to be true of them is not."""

from collections.abc import Callable

from tests.fuzz.targets.leak import leak
from tests.fuzz.targets.readers import readers
from tests.fuzz.targets.streaming import streaming
from tests.fuzz.targets.structure import structure
from tests.fuzz.targets.work import work

TARGETS: dict[str, Callable[[bytes], None]] = {
    "streaming": streaming,
    "structure": structure,
    "leak": leak,
    "readers": readers,
    "work": work,
}
