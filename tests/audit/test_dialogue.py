"""Recorded messages of PostgreSQL, read again: what was said is told, whatever was cut off or damaged."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit.dialogue.postgres import Message, messages, start
from extproc.audit.dialogue.text import CELL, MOST_ROWS, lines, words
from extproc.protocols.postgres.wire import backend
from extproc.protocols.postgres.wire.backend import (
    CommandComplete,
    CopyOutResponse,
    DataRow,
    ErrorResponse,
    Field,
    NoticeResponse,
    RowDescription,
)
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import Bind, CopyFail, Execute, Parse, Query, Sync

INT4, TEXT, BYTEA, NUMERIC = 23, 25, 17, 1700


def column(name: str, kind: int = TEXT, binary: bool = False) -> Field:
    """A column of a result."""
    return Field(name, 0, 0, kind, -1, -1, int(binary))


def said(*parts: Any) -> bytes:
    """Messages as they were recorded."""
    return b"".join(part.encode() for part in parts)


TOLD = {"kind": "columns", "columns": [{"name": "a", "type": INT4, "format": "text"}]}
REQUEST = [
    (said(Query("SELECT 1")), [{"kind": "query", "text": "SELECT 1"}]),
    (
        said(Parse("s", "SELECT $1", (INT4,)), Bind("", "s", (1,), (b"\0\0\0\7",)), Execute("", 5), Sync()),
        [
            {"kind": "parse", "name": "s", "text": "SELECT $1"},
            {"kind": "bind", "portal": "", "name": "s", "values": ["7"]},
            {"kind": "execute", "portal": "", "rows": 5},
            {"kind": "sync"},
        ],
    ),
    (
        said(Bind("", "s", (1,), (b"\0\0\0\7", None))),
        [{"kind": "bind", "portal": "", "name": "s", "values": [{"bytes": 4, "why": "binary"}, None]}],
    ),
    (
        said(CopyData(b"1\tx\n2"), CopyData(b"\ty\n"), CopyDone()),
        [{"kind": "copy", "bytes": 8, "text": "1\tx\n2\ty\n"}, {"kind": "copy-done"}],
    ),
    (
        said(CopyData(b"PGCOPY\n\xff\r\n\0" + bytes(8)), CopyFail("enough")),
        [{"kind": "copy", "bytes": 19}, {"kind": "copy-fail", "reason": "enough"}],
    ),
    (b"", []),
    (b"Q\0\0\0\3oh no", [{"kind": "damaged", "at": 0}]),
    (b"?\0\0\0\5x" + said(Sync()), [{"kind": "unreadable", "byte": "?", "bytes": 1}, {"kind": "sync"}]),
]
RESPONSE = [
    (
        said(RowDescription((column("a", INT4),)), DataRow((b"1",)), DataRow((None,)), CommandComplete("SELECT 2")),
        [TOLD, {"kind": "rows", "rows": [["1"], [None]]}, {"kind": "complete", "tag": "SELECT 2"}],
    ),
    (
        said(
            RowDescription((column("n", NUMERIC, True), column("b", BYTEA, True))),
            DataRow((b"\0\2\0\0\0\0\0\2\0\1\x13\x88", b"\xff")),
        ),
        [
            {
                "kind": "columns",
                "columns": [
                    {"name": "n", "type": NUMERIC, "format": "binary"},
                    {"name": "b", "type": BYTEA, "format": "binary"},
                ],
            },
            {"kind": "rows", "rows": [["1.50", {"bytes": 1, "why": "binary"}]]},
        ],
    ),
    (
        said(
            NoticeResponse((("V", "WARNING"), ("C", "01000"), ("M", "hm"))),
            ErrorResponse((("V", "ERROR"), ("M", "no"))),
        ),
        [
            {"kind": "notice", "severity": "WARNING", "sqlstate": "01000", "message": "hm"},
            {"kind": "error", "severity": "ERROR", "message": "no"},
        ],
    ),
    (
        said(CopyOutResponse(1, (1,)), CopyData(b"\0\1")),
        [{"kind": "copy-out", "format": "binary"}, {"kind": "copy", "bytes": 2}],
    ),
    (said(DataRow((b"1", b"\0"))), [{"kind": "rows", "rows": [["1", {"bytes": 1, "why": "binary"}]]}]),
]


@pytest.mark.parametrize(("data", "told"), REQUEST)
def test_what_a_client_said_is_told(data: bytes, told: list[dict[str, Any]]) -> None:
    """Each message by its name; a COPY's data in one, whatever it was cut into."""
    assert messages(data, "request") == told


@pytest.mark.parametrize(("data", "told"), RESPONSE)
def test_what_a_server_said_is_told(data: bytes, told: list[dict[str, Any]]) -> None:
    """Rows in one, with values as text as far as their types are known."""
    assert messages(data, "response") == told


def test_columns_that_the_client_was_not_told_are_those_of_the_record() -> None:
    """The gateway had asked for them itself; a description among the messages counts more."""
    row = said(DataRow((b"\0\0\0\1",)))
    known = [{"name": "a", "type": INT4, "format": "binary"}]
    assert messages(row, "response", known)[1] == {"kind": "rows", "rows": [["1"]]}
    assert [m["kind"] for m in messages(row, "response", known)] == ["columns", "rows"]
    described = said(RowDescription((column("a", INT4, True),))) + row
    assert messages(described, "response", [{"name": 7}]) == messages(described, "response")


@pytest.mark.parametrize(
    ("data", "lane"), [(d, "request") for d, _ in REQUEST] + [(d, "response") for d, _ in RESPONSE]
)
def test_a_cut_takes_nothing_from_what_is_before_it(data: bytes, lane: str) -> None:
    """Every cut: the words that were there are a beginning of the words of the whole, and it says that it is cut."""
    whole = messages(data, lane)
    for at in range(len(data)):
        part = messages(data[:at], lane)
        if part and part[-1]["kind"] == "cut":
            part.pop()
        for mine, its in zip(part, whole, strict=False):
            assert mine["kind"] == its["kind"]
        for mine, its in zip(part[:-1], whole, strict=False):
            assert mine == its
        assert words(whole).startswith(words(part)) or "copy" in {m["kind"] for m in part}


def test_what_is_there_of_the_last_message_is_told() -> None:
    """The beginning of a long statement, the values of half a row."""
    assert messages(said(Query("SELECT 12345"))[:12], "request") == [
        {"kind": "query", "text": "SELECT "},
        {"kind": "cut"},
    ]
    row = said(RowDescription((column("a", INT4), column("b"))), DataRow((b"1", b"long")))
    assert messages(row[:-2], "response")[1:] == [{"kind": "rows", "rows": [["1"]]}, {"kind": "cut"}]


@given(st.binary(max_size=300), st.sampled_from(["request", "response"]))
def test_any_bytes_are_read_and_drawn(data: bytes, lane: str) -> None:
    """Whatever a disk gives back: no exception."""
    told = messages(data, lane)
    assert isinstance(words(told), str)
    assert all(isinstance(line, str) for line in lines(told, 20))


@given(st.lists(st.sampled_from([data for data, _ in RESPONSE]), max_size=4), st.integers(0, 200), st.integers(0, 255))
def test_damaged_messages_are_read_and_drawn(parts: list[bytes], at: int, byte: int) -> None:
    """One byte is another: no exception."""
    data = bytearray(b"".join(parts))
    if data:
        data[at % len(data)] = byte
    assert isinstance(words(messages(bytes(data), "response")), str)
    assert isinstance(list(lines(messages(bytes(data), "response"))), list)


def test_a_result_is_a_table_or_a_list() -> None:
    """As psql draws it; too wide for the screen it is one value a line."""
    told = messages(
        said(
            RowDescription((column("id", INT4), column("name"))),
            DataRow((b"1", b"Ada")),
            DataRow((b"22", None)),
            CommandComplete("SELECT 2"),
        ),
        "response",
    )
    assert list(lines(told)) == ["id │ name", "───┼─────", "1  │ Ada", "22 │ NULL", "SELECT 2"]
    assert list(lines(told, 8)) == [
        "─[ 1 ]─",
        "id   │ 1",
        "name │ Ada",
        "─[ 2 ]─",
        "id   │ 22",
        "name │ NULL",
        "SELECT 2",
    ]


def test_what_is_drawn_is_bounded() -> None:
    """Rows of a result, and characters of a value."""
    row: Message = {"kind": "rows", "rows": [["x" * 500]] * (MOST_ROWS + 3)}
    drawn = list(lines([row]))
    assert drawn[-1] == "… 3 more rows"
    assert len(drawn) == MOST_ROWS + 3
    assert max(map(len, drawn)) == CELL
    assert list(lines([{"kind": "rows", "rows": [["a\nb\tc"]]}]))[2] == r"a\nb\tc"


def test_a_body_is_read_as_far_as_it_is_wanted() -> None:
    """However large its pieces are."""
    assert start(iter([b"abc", b"def", b"ghi"]), 5) == b"abcde"
    assert start(iter([]), 5) == b""


def test_words_are_those_that_were_said() -> None:
    """Of statements, values, columns, rows and errors."""
    asked = messages(said(Parse("", "SELECT x"), Bind("", "", (), (b"Ada", None))), "request")
    assert words(asked).split() == ["SELECT", "x", "Ada"]
    answered = said(RowDescription((column("who"),)), DataRow((b"Grace",)), ErrorResponse((("M", "no such thing"),)))
    assert words(messages(answered, "response")).split() == ["who", "Grace", "no", "such", "thing"]


def test_every_message_of_a_server_has_a_name() -> None:
    """None is `other`: a new one wants to be told."""
    plain = (backend.ParseComplete, backend.BindComplete, backend.CloseComplete, backend.NoData)
    for message in (*plain, backend.EmptyQueryResponse, backend.PortalSuspended):
        (told,) = messages(message().encode(), "response")
        assert told["kind"] not in ("other", "unreadable")
