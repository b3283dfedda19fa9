"""Masking of application/x-www-form-urlencoded bodies and query strings."""

from collections.abc import Iterable
from urllib.parse import quote_plus, unquote_to_bytes

from extproc.masking.engine.detect import Detector
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import key_rules
from extproc.masking.text import TextStage, mask_text

PAIR = 1 << 20
"""Bytes of one name=value pair, at most."""

_MASK = mask_text(CREDENTIAL).encode()
_MASK_SPELT = quote_plus(_MASK).encode()


class FormStage:
    """Masks names and values in what they mean (percent and plus decoded); those that are not changed keep their
    bytes. A pair is kept until it ends; one over 1 MiB raises MaskError. `credentials`, which finds nothing else, looks
    at the bytes as they come: what calls itself a form need not be one, and then `+`, `%`, `=` and `&` are part of a
    secret. It looks first, for a rule that takes one end of a secret would hide the other from it."""

    __slots__ = ("_detector", "_keys", "_raw", "_held", "_counts")

    def __init__(self, detector: Detector, keys: Iterable[str] = (), credentials: Detector | None = None) -> None:
        self._detector = detector
        self._raw = TextStage(credentials) if credentials is not None else None
        self._keys = key_rules(detector, frozenset(keys))
        self._held = bytearray()
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        counts = dict(self._counts)
        for kind, count in self._raw.counts.items() if self._raw is not None else ():
            counts[kind] = counts.get(kind, 0) + count
        return counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those of the pairs that ended. Raises MaskError."""
        return self._take(data if self._raw is None else self._raw.feed(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = b"" if self._raw is None else self._take(self._raw.finish())
        return out + self._pairs(bytes(self._held))

    def _take(self, data: bytes) -> bytes:
        cut = data.rfind(b"&") + 1
        if not cut:
            self._held += data
            self._bound(len(self._held))
            return b""
        whole = bytes(self._held) + data[:cut]
        self._held = bytearray(data[cut:])
        self._bound(len(self._held))
        return self._pairs(whole)

    def _bound(self, length: int) -> None:
        if length > PAIR:
            raise MaskError(f"a form field longer than {PAIR} bytes")

    def _pairs(self, whole: bytes) -> bytes:
        if self._raw is not None:
            whole = whole.replace(_MASK, _MASK_SPELT)
        # Decoding is local, so what the decoded whole cannot have, no name or value has.
        scan = bool(self._detector.gate(_decoded(whole)))
        if not scan and not self._keys.any:
            return whole
        return b"&".join(self._pair(pair, scan) for pair in whole.split(b"&"))

    def _pair(self, pair: bytes, scan: bool) -> bytes:
        self._bound(len(pair))
        raw_name, equals, raw_value = pair.partition(b"=")
        text = _decoded(raw_name).decode("utf-8", "replace")
        kind = self._keys.selected(text)
        if kind is None and (keyed := self._keys.keyed(text)) and keyed[1].fullmatch(_decoded(raw_value).strip()):
            kind = keyed[0]
        if kind is not None and equals:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            raw_value = quote_plus(mask_text(kind)).encode()
        elif scan:
            raw_value = self._masked(raw_value)
        return (self._masked(raw_name) if scan else raw_name) + equals + raw_value

    def _masked(self, raw: bytes) -> bytes:
        value = _decoded(raw)
        if not self._detector.gate(value):
            return raw
        stage = TextStage(self._detector)
        out = stage.feed(value) + stage.finish()
        for kind, count in stage.counts.items():
            self._counts[kind] = self._counts.get(kind, 0) + count
        return raw if out == value else quote_plus(out).encode()


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))
