"""Masking of application/x-www-form-urlencoded bodies and query strings."""

from collections.abc import Iterable
from urllib.parse import quote_plus, unquote_to_bytes

from extproc.masking.detect import Detector
from extproc.masking.jsonstage import KeyRules
from extproc.masking.stage import MaskError
from extproc.masking.text import TextStage, mask_text

PAIR = 1 << 20
"""Bytes of one name=value pair, at most."""


class FormStage:
    """Masks names and values in what they mean (percent and plus decoded); those that are not changed keep their
    bytes. A pair is kept until it ends; one over 1 MiB raises MaskError."""

    __slots__ = ("_detector", "_keys", "_held", "_counts")

    def __init__(self, detector: Detector, keys: Iterable[str] = ()) -> None:
        self._detector = detector
        self._keys = KeyRules(detector, keys)
        self._held = bytearray()
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those of the pairs that ended. Raises MaskError."""
        cut = data.rfind(b"&") + 1
        if not cut:
            self._held += data
            self._bound(len(self._held))
            return b""
        whole = bytes(self._held) + data[:cut]
        self._held = bytearray(data[cut:])
        self._bound(len(self._held))
        return b"&".join(self._pair(pair) for pair in whole.split(b"&"))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._pair(bytes(self._held))

    def _bound(self, length: int) -> None:
        if length > PAIR:
            raise MaskError(f"a form field longer than {PAIR} bytes")

    def _pair(self, pair: bytes) -> bytes:
        self._bound(len(pair))
        raw_name, equals, raw_value = pair.partition(b"=")
        name, value = _decoded(raw_name), _decoded(raw_value)
        text = name.decode("utf-8", "replace")
        kind = self._keys.selected(text)
        if kind is None and (keyed := self._keys.keyed(text)) and keyed[1].fullmatch(value.strip()):
            kind = keyed[0]
        new_name = self._masked(name)
        if kind is not None and equals:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            new_value = mask_text(kind).encode()
        else:
            new_value = self._masked(value)
        return (
            (raw_name if new_name == name else quote_plus(new_name).encode())
            + equals
            + (raw_value if new_value == value else quote_plus(new_value).encode())
        )

    def _masked(self, value: bytes) -> bytes:
        stage = TextStage(self._detector)
        out = stage.feed(value) + stage.finish()
        for kind, count in stage.counts.items():
            self._counts[kind] = self._counts.get(kind, 0) + count
        return out


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))
