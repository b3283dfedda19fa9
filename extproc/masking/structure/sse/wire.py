"""text/event-stream, cut into events (WHATWG HTML, section 9.2.6): lines end in LF, CR or CRLF, a blank one ends an
event. Bytes are kept so that an event that nothing changes goes on as it came."""

import re
from dataclasses import dataclass

from extproc.masking.stage import MaskError

EVENT = 1 << 20
"""Bytes of one event, at most, unless a stage is built for more."""

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"\n[\r\n]|\r(?:\n[\r\n]|\r)")  # the end of a line, and the first byte of a blank one's
_BLANKS = re.compile(rb"\n+")
_NAME = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])event:([^\r\n]*)")
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")


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


class Event:
    """The lines up to a blank one, as the bytes that they came in. `close` is the blank line's end: one byte, for the
    LF of a CRLF follows by itself; none when the stream ended first."""

    __slots__ = ("raw", "close", "data", "_start", "_end")

    def __init__(self, raw: bytes, closed: bool = True) -> None:
        self.raw = raw
        self.close = raw[-1:] if closed else b""
        self.data: bytes | None
        """The payload: its data lines joined by LF; None when it has none."""
        self._start, self._end = _only(raw)
        if self._end:
            self.data = raw[self._start : self._end]
        else:
            values = [value for line in self.lines() if (value := line.data) is not None]
            self.data = b"\n".join(values) if values else None

    @property
    def others(self) -> bytes:
        """Its lines but the one with data, where that is easy to tell; otherwise all of it."""
        if not self._end:
            return self.raw
        before = self.raw[: self._start].removesuffix(b" ").removesuffix(b"data:")
        return before + self.raw[self._end + 1 : len(self.raw) - len(self.close)]

    def lines(self) -> list[Line]:
        """Its lines, without the blank one and a byte order mark."""
        at = len(_BOM) if self.raw.startswith(_BOM) else 0
        end = len(self.raw) - len(self.close)
        return [Line(text, eol) for text, eol in _LINE.findall(self.raw[at:end]) if text]

    @property
    def name(self) -> bytes:
        """The event's type, empty where it has none."""
        names: list[bytes] = _NAME.findall(self.raw)
        return names[-1].strip() if names else b""

    def with_data(self, payload: bytes) -> "Event":
        """The same event with another payload, in the place of its first data line."""
        if payload == self.data:
            return self
        if self._end and b"\n" not in payload and b"\r" not in payload:
            return Event(self.raw[: self._start] + payload + self.raw[self._end :], bool(self.close))
        lines: list[Line] = []
        done = False
        for line in self.lines():
            if line.data is None:
                lines.append(line)
            elif not done:
                done = True
                prefix = b"data: " if line.text.startswith(b"data: ") or line.text == b"data" else b"data:"
                end = line.end or b"\n"
                rows = payload.split(b"\n")
                lines += [Line(prefix + row, end) for row in rows[:-1]]
                lines.append(Line(prefix + rows[-1], line.end))
        return self.with_lines(lines)

    def with_lines(self, lines: list[Line]) -> "Event":
        """The same event with other lines."""
        bom = _BOM if self.raw.startswith(_BOM) else b""
        return Event(bom + b"".join(line.text + line.end for line in lines) + self.close, bool(self.close))


def _only(raw: bytes) -> tuple[int, int]:
    """From where to where the value of the only data line goes, where that is easy to tell; otherwise (0, 0)."""
    at = 0 if raw.startswith(b"data:") else raw.find(b"\ndata:") + 1
    if (not at and not raw.startswith(b"data:")) or raw.find(b"\ndata", at) >= 0 or b"\r" in raw:
        return 0, 0
    end = raw.find(b"\n", at)
    if end < 0 or raw.startswith(b"data", 0, at) or raw.startswith(_BOM):
        return 0, 0
    return at + (6 if raw.startswith(b" ", at + 5) else 5), end


class Cutter:
    """Bytes in; out come events of at most `bound` bytes, and the LFs that belong to a CR already given. Blank lines
    that follow each other are one event."""

    __slots__ = ("_most", "_held", "_seen", "_has_cr", "_after_cr", "_begun", "_bom")

    def __init__(self, bound: int = EVENT) -> None:
        self._most = bound
        self._held = bytearray()
        self._seen = 0  # up to where no event ends
        self._has_cr = False
        self._after_cr = False
        self._begun = False
        self._bom = 0

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
            self._bom = 3 if held.startswith(_BOM) else 0
        self._has_cr = self._has_cr or b"\r" in data
        at, seen, size = 0, self._seen, len(held)
        while at < size:
            if self._after_cr:
                self._after_cr = False
                if held[at] == 10:
                    found.append(b"\n")
                    at += 1
                    continue
            end = self._end(at + self._bom, seen)
            if end < 0:
                break
            if end - at > self._most:
                raise MaskError(f"a server-sent event longer than {self._most} bytes")
            found.append(Event(bytes(held[at:end])))
            self._after_cr = held[end - 1] == 13
            self._bom, at = 0, end
        if at:
            del held[:at]
            self._has_cr = self._has_cr and b"\r" in held
        if len(held) > self._most:
            raise MaskError(f"a server-sent event longer than {self._most} bytes")
        self._seen = max(0, len(held) - 2)
        if final and held:
            found.append(Event(bytes(held), closed=False))
            held.clear()
        return found

    def _end(self, at: int, seen: int) -> int:
        """Where the event that begins here ends, or -1."""
        held = self._held
        if at >= len(held):
            return -1
        if held[at] == 10:
            blank = _BLANKS.match(held, at)
            return blank.end() if blank else -1
        if held[at] == 13:
            return at + 1
        if self._has_cr:
            found = _BLANK.search(held, max(at, seen))
            return found.end() if found else -1
        end = held.find(b"\n\n", max(at, seen))
        return end + 2 if end >= 0 else -1
