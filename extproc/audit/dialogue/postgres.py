"""What was recorded of PostgreSQL's messages, as documents ("Frontend/Backend Protocol", "Message Formats").

A recorded body is the messages that went on in one direction under one Grant, byte for byte. It may be cut anywhere (it
was longer than what is kept, or a crash tore it), and may come from a disk that was damaged, so nothing in it is taken
for granted: what can't be read is named, and reading never fails.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from extproc.audit.bodies.heads import POSTGRES
from extproc.audit.dialogue.values import read_value
from extproc.domain.json import JSON
from extproc.protocols.postgres.wire import backend, common, frontend
from extproc.protocols.postgres.wire.backend import decode_backend
from extproc.protocols.postgres.wire.fields import HEAD, MAX_MESSAGE_BYTES, Malformed
from extproc.protocols.postgres.wire.frontend import decode_frontend, format_at
from extproc.protocols.postgres.wire.results import Field
from extproc.protocols.postgres.wire.row import DATA_ROW, split_row

MOST_BYTES = 256 * 1024
"""Of a body that are read for people."""

Message = dict[str, JSON]

_BINARY_COPY = b"PGCOPY\n\xff\r\n\x00"
_REPORT = {"V": "severity", "C": "sqlstate", "M": "message", "D": "detail", "H": "hint", "W": "where"}
_PLAIN: dict[type[Any], str] = {
    frontend.Sync: "sync",
    frontend.Flush: "flush",
    frontend.Terminate: "terminate",
    common.CopyDone: "copy-done",
    backend.ParseComplete: "parsed",
    backend.BindComplete: "bound",
    backend.CloseComplete: "closed",
    backend.NoData: "no-rows",
    backend.EmptyQueryResponse: "empty",
    backend.PortalSuspended: "suspended",
}


def is_postgres(content_type: str) -> bool:
    """Whether a body of this type is one."""
    return content_type == POSTGRES


def start(pieces: Iterable[bytes], most: int = MOST_BYTES) -> bytes:
    """The start of a body, `most` bytes at most. Raises what `pieces` raises."""
    taken = bytearray()
    for piece in pieces:
        taken += piece[: most - len(taken)]
        if len(taken) >= most:
            break
    return bytes(taken)


def messages(data: bytes, lane: str, columns: Sequence[Mapping[str, Any]] = ()) -> list[Message]:
    """The messages in these bytes of a lane (`request` or `response`), each with its name as `kind`.

    Rows that follow each other are one `rows`, and so is a COPY's data (`copy`). `columns` are those that the
    delivery's record has of the rows, where the client was not told: `name`, `type`, `format`. Where the bytes end
    within a message, as much of it as is there comes, and then `cut`; where they make no sense from somewhere on,
    `damaged` says where."""
    reading = _Reading(_fields(columns)) if lane == "response" else _Reading(())
    decode = decode_backend if lane == "response" else decode_frontend
    return list(_joined(reading.read(data, decode, rows=lane == "response")))


class _Reading:
    """Reads one body. `fields` describe the rows that come next."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._fields = fields
        self._types: tuple[int, ...] = ()
        self._binary = False
        self._described = False

    def read(self, data: bytes, decode: Callable[[int, bytes], object], rows: bool) -> Iterator[Message]:
        at = 0
        while at < len(data):
            if len(data) - at < HEAD.size:
                yield {"kind": "cut"}
                return
            kind, size = HEAD.unpack_from(data, at)
            if not 4 <= size <= MAX_MESSAGE_BYTES:
                yield {"kind": "damaged", "at": at}
                return
            body = data[at + HEAD.size : at + 1 + size]
            whole = at + 1 + size <= len(data)
            at += 1 + size
            if kind == common.CopyData.kind:
                yield self._copied(body)
            elif not whole:
                yield from self._part(kind, body, rows)
            elif rows and kind == DATA_ROW:
                yield from self._known()
                yield self._row(body)
            else:
                yield self._whole(kind, body, decode)
            if not whole:
                yield {"kind": "cut"}

    def _whole(self, kind: int, body: bytes, decode: Callable[[int, bytes], object]) -> Message:
        try:
            return self._told(decode(kind, body)) or {"kind": "other", "byte": chr(kind), "bytes": len(body)}
        except (Malformed, IndexError):
            return {"kind": "unreadable", "byte": chr(kind), "bytes": len(body)}

    def _told(self, message: object) -> Message | None:
        match message:
            case frontend.Query(text):
                return {"kind": "query", "text": text}
            case frontend.Parse(name, text, types):
                self._types = types
                return {"kind": "parse", "name": name, "text": text}
            case frontend.Bind(portal, name, formats, values):
                of_each = (*self._types, *[0] * len(values))
                told: list[JSON] = [
                    read_value(value, format_at(formats, i), of_each[i]) for i, value in enumerate(values)
                ]
                return {"kind": "bind", "portal": portal, "name": name, "values": told}
            case frontend.Execute(portal, rows):
                return {"kind": "execute", "portal": portal, "rows": rows}
            case frontend.Describe(of, name):
                return {"kind": "describe", "of": of.name.lower(), "name": name}
            case frontend.Close(of, name):
                return {"kind": "close", "of": of.name.lower(), "name": name}
            case frontend.CopyFail(reason):
                return {"kind": "copy-fail", "reason": reason}
            case backend.RowDescription(fields):
                self._fields, self._described = fields, True
                return {"kind": "columns", "columns": [_column(field) for field in fields]}
            case backend.CommandComplete(tag):
                return {"kind": "complete", "tag": tag}
            case backend.ErrorResponse(fields) | backend.NoticeResponse(fields):
                said: Message = {"kind": "error" if isinstance(message, backend.ErrorResponse) else "notice"}
                return {**said, **{_REPORT[code]: text for code, text in fields if code in _REPORT}}
            case backend.ParameterStatus(name, value):
                return {"kind": "setting", "name": name, "value": value}
            case backend.ReadyForQuery(status):
                return {"kind": "ready", "transaction": status.value}
            case backend.NotificationResponse(_, channel, payload):
                return {"kind": "notification", "channel": channel, "payload": payload}
            case backend.ParameterDescription(types):
                return {"kind": "parameters", "types": list(types)}
            case backend.CopyInResponse(form) | backend.CopyOutResponse(form):
                self._binary = form == 1
                wanted = "copy-in" if isinstance(message, backend.CopyInResponse) else "copy-out"
                return {"kind": wanted, "format": "binary" if self._binary else "text"}
        named = _PLAIN.get(type(message))
        return None if named is None else {"kind": named}

    def _known(self) -> Iterator[Message]:
        """The columns, where the client was told of none."""
        if self._fields and not self._described:
            self._described = True
            yield {"kind": "columns", "columns": [_column(field) for field in self._fields]}

    def _row(self, body: bytes) -> Message:
        try:
            values = split_row(body)
        except Malformed:
            return {"kind": "unreadable", "byte": "D", "bytes": len(body)}
        return {"kind": "rows", "rows": [self._values(values)]}

    def _values(self, values: Sequence[bytes | None]) -> list[JSON]:
        fields = self._fields if len(self._fields) == len(values) else None
        if fields is None:
            return [read_value(value, None, 0) for value in values]
        return [read_value(value, field.format, field.type) for value, field in zip(values, fields, strict=True)]

    def _copied(self, body: bytes) -> Message:
        self._binary = self._binary or body.startswith(_BINARY_COPY)
        told: Message = {"kind": "copy", "bytes": len(body)}
        return told if self._binary else {**told, "text": body.decode("utf-8", "backslashreplace")}

    def _part(self, kind: int, body: bytes, rows: bool) -> Iterator[Message]:
        """What is there of a message that is not whole."""
        if rows and kind == DATA_ROW:
            if values := _begun(body):
                yield from self._known()
                # As many columns as there were, so that those that are here are read as what they are.
                missing = max(0, len(self._fields) - len(values))
                yield {"kind": "rows", "rows": [self._values([*values, *[None] * missing])[: len(values)]]}
        elif not rows and kind == frontend.Query.kind:
            yield {"kind": "query", "text": _text(body)}
        elif not rows and kind == frontend.Parse.kind:
            name, _, text = body.partition(b"\0")
            yield {"kind": "parse", "name": _text(name), "text": _text(text)}


def _joined(told: Iterator[Message]) -> Iterator[Message]:
    """Rows in one, and a COPY's data in one."""
    for kind, group in groupby(told, itemgetter("kind")):
        if kind == "rows":
            yield {"kind": "rows", "rows": [row for one in group for row in cast(list[JSON], one["rows"])]}
        elif kind == "copy":
            pieces = list(group)
            joined: Message = {"kind": "copy", "bytes": sum(cast(int, one["bytes"]) for one in pieces)}
            if all("text" in one for one in pieces):
                joined["text"] = "".join(cast(str, one["text"]) for one in pieces)
            yield joined
        else:
            yield from group


def _begun(body: bytes) -> list[bytes | None]:
    """The values of a DataRow that are whole."""
    values: list[bytes | None] = []
    at = 2
    while len(body) - at >= 4:
        size = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4
        if size < -1 or (size > 0 and at + size > len(body)):
            break
        values.append(None if size == -1 else body[at : at + size])
        at += max(0, size)
    return values


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _column(field: Field) -> Message:
    return {"name": field.name, "type": field.type, "format": "binary" if field.format else "text"}


def _fields(columns: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    """What a record says of columns, which may say anything."""
    fields = []
    for column in columns:
        kind = column.get("type")
        oid = kind if isinstance(kind, int) else 0
        fields.append(Field(str(column.get("name")), 0, 0, oid, -1, -1, int(column.get("format") == "binary")))
    return tuple(fields)
