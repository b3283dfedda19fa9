"""Masks that are as long as what they stand for, for values that have to be whole to be masked."""

from collections.abc import Callable

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import nested, types
from extproc.protocols.postgres.masks.cells import Cell, Masking
from extproc.protocols.postgres.masks.types import Sort

_DIGITS = bytes(48 if chr(code).isalnum() and code < 128 else code for code in range(256))
_INET_HEAD = 4
_NUMERIC_HEAD = 8


def lengths(masking: Masking) -> Masking:
    """The same with every operator LENGTH, and counts of its own."""
    plan = masking.plan
    kinds = {*plan.detector.kinds, plan.detector.kind(plan.detector.credentials)}
    operators = dict.fromkeys([*kinds, *(f"key:{key.lower()}" for key in plan.keys)], Operator.LENGTH)
    changed = Plan(plan.detector, plan.keys, operators, plan.hash_key, plan.lenient)
    only = masking.only and Plan(masking.only.detector, frozenset(), operators)
    return Masking(changed, only, masking.guarded)


def neutral(oid: int, binary: bool, value: bytes) -> bytes:
    """As many bytes as the value has, that say nothing of it, and mostly are a value of its type, too: zeros."""
    if oid == types.BOOL and not binary:
        return b"f" * len(value)
    if not binary:
        return value.translate(_DIGITS)
    if oid == types.NUMERIC and len(value) >= _NUMERIC_HEAD:
        return value[:2] + bytes(len(value) - 2)
    if oid in (types.INET, types.CIDR):
        return value[:_INET_HEAD] + bytes(len(value[_INET_HEAD:]))
    return bytes(len(value))


class Held:
    """A value that has to be whole to be masked: of at most `most` bytes. Raises MaskError for more."""

    def __init__(self, fit: Callable[[bytes], bytes], most: int) -> None:
        self._fit = fit
        self._most = most
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes."""
        self._data += data
        if len(self._data) > self._most:
            raise MaskError(f"a value of more than {self._most} bytes that has to be whole to be masked")
        return b""

    def finish(self) -> bytes:
        """The value, masked."""
        value = bytes(self._data)
        out = self._fit(value)
        if len(out) != len(value):
            raise MaskError("a long value whose mask has no room")
        return out


def fit(cell: Cell, oid: int, binary: bool, value: bytes) -> bytes:
    """A value masked by a cell whose masks are as long as what they stand for, or zeros where that is NULL."""
    masked = cell.mask(value)
    return masked if masked is not None and len(masked) == len(value) else neutral(oid, binary, value)


def fit_items(oid: int, how: Callable[[int, bytes], bytes], value: bytes) -> bytes:
    """An array or record in binary format whose items are each masked by `how`, which is given their type."""
    is_array = types.sort_of(oid) is Sort.ARRAY
    items = nested.binary_array_items(value) if is_array else nested.binary_record_items(value)
    return nested.respelt(
        value, [(item, nested.binary_item(how(item.type, item.value))) for item in items if item.value is not None]
    )
