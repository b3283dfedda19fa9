"""text/event-stream, cut into events (WHATWG HTML, section 9.2.6): lines end in LF, CR or CRLF, a blank one ends an
event. Bytes are kept so that an event that nothing changes goes on as it came."""

import re
from dataclasses import dataclass

from extproc.masking.stage import MaskError

EVENT = 1 << 20
"""Bytes of one event, at most, unless a stage is built for more."""

_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without and with its end (which is empty when the stream ended first)."""

    text: bytes
    end: bytes

    @property
    def data(self) -> bytes | None:
        """The value, if this is a data line."""
        if not self.text.startswith(b"data"):
            return None
        name, _, value = self.text.partition(b":")
        return value.removeprefix(b" ") if name == b"data" else None


@dataclass(frozen=True, slots=True)
class Event:
    """The lines up to a blank one. `close` is the blank line's end: one byte, for the LF of a CRLF follows by
    itself."""

    lines: tuple[Line, ...]
    close: bytes
    bom: bytes = b""

    @property
    def raw(self) -> bytes:
        """The bytes it came in."""
        return self.bom + b"".join(line.text + line.end for line in self.lines) + self.close

    @property
    def data(self) -> bytes | None:
        """The payload: its data lines joined by LF; None when it has none."""
        values = [value for line in self.lines if (value := line.data) is not None]
        return b"\n".join(values) if values else None

    @property
    def name(self) -> bytes:
        """The event's type, empty where it has none."""
        names = [line.text[6:].strip() for line in self.lines if line.text.startswith(b"event:")]
        return names[-1] if names else b""

    def with_data(self, payload: bytes) -> "Event":
        """The same event with another payload, in the place of its first data line."""
        lines: list[Line] = []
        done = False
        for line in self.lines:
            if line.data is None:
                lines.append(line)
            elif not done:
                done = True
                prefix = b"data: " if line.text.startswith(b"data: ") or line.text == b"data" else b"data:"
                end = line.end or b"\n"
                rows = payload.split(b"\n")
                lines += [Line(prefix + row, end) for row in rows[:-1]]
                lines.append(Line(prefix + rows[-1], line.end))
        return Event(tuple(lines), self.close, self.bom)


class Cutter:
    """Bytes in; out come events of at most `bound` bytes, and the LFs that belong to a CR already given."""

    __slots__ = ("_most", "_held", "_seen", "_lines", "_size", "_after_cr", "_begun", "_bom")

    def __init__(self, bound: int = EVENT) -> None:
        self._most = bound
        self._held = bytearray()
        self._seen = 0
        self._lines: list[Line] = []
        self._size = 0
        self._after_cr = False
        self._begun = False
        self._bom = b""

    def feed(self, data: bytes, final: bool = False) -> list[Event | bytes]:
        """Give what is complete; with `final` also an event that no blank line ended. Raises MaskError for an event
        that is too long."""
        held = self._held
        held += data
        found: list[Event | bytes] = []
        if not self._begun:
            if len(held) < 3 and _BOM.startswith(held) and not final:
                return found
            self._begun = True
            if held.startswith(_BOM):
                self._bom = _BOM
                del held[:3]
        at = 0
        while True:
            if self._after_cr and at < len(held):
                self._after_cr = False
                if held[at] == 10:
                    found.append(b"\n")
                    at += 1
            end = _END.search(held, max(at, self._seen))
            if end is None:
                break
            self._seen = 0
            stop = end.start()
            if stop == at:
                self._lines_end(found, bytes(held[stop : stop + 1]))
                self._after_cr = held[stop] == 13
                at += 1
                continue
            width = 1
            if held[stop] == 13:
                if stop + 1 == len(held) and not final:
                    break  # an LF may follow
                width = 2 if held[stop + 1 : stop + 2] == b"\n" else 1
            self._lines.append(Line(bytes(held[at:stop]), bytes(held[stop : stop + width])))
            self._size += stop + width - at
            at = stop + width
        del held[:at]
        self._seen = len(held) if end is None else end.start() - at
        if self._size + len(held) > self._most:
            raise MaskError(f"a server-sent event longer than {self._most} bytes")
        if final and (held or self._lines or self._bom):
            if held:
                self._lines.append(Line(bytes(held), b""))
                held.clear()
            self._lines_end(found, b"")
        return found

    def _lines_end(self, found: list[Event | bytes], close: bytes) -> None:
        found.append(Event(tuple(self._lines), close, self._bom))
        self._lines, self._size, self._bom = [], 0, b""
