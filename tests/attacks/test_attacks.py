"""No way round: whatever bytes an agent sends, what reaches an upstream is what policy saw and the journal says."""

import pytest

from extproc.audit.bound import RECORD_BYTES
from extproc.audit.reader import records, streams
from tests.attacks import table_bodies, table_framing, table_heads, table_paths, wire
from tests.attacks.checks import answered_as_meant, arrived_as_decided, traced
from tests.attacks.conftest import Range
from tests.attacks.rows import Row
from tests.attacks.table_framing import CLEAN
from tests.attacks.tap import ANSWER
from tests.support.gateway import CREDENTIAL

TABLES = (table_paths, table_heads, table_framing, table_bodies)
CASES = [
    pytest.param(row, id=row.id, marks=[pytest.mark.xfail(reason=row.finding, strict=True)] if row.finding else [])
    for table in TABLES
    for row in table.ROWS
]
SECRETS = b"set-cookie: CLAIM=1\r\nauthorization: Bearer %b\r\nx-api-key: CLAIM\r\nx-holdpoint-a: CLAIM\r\n" % (
    CREDENTIAL.encode()
)


@pytest.mark.parametrize("row", CASES)
def test_over_http1(everywhere: Range, row: Row) -> None:
    """The answer is the one that must be, and nothing arrives but what was decided on."""
    subject, token = everywhere.identity()
    marks = everywhere.marks()
    steps = tuple(s.replace(b"<TOKEN>", token.encode()) if isinstance(s, bytes) else s for s in row.steps)
    got = wire.exchange(everywhere.gateway.port, steps, len(row.statuses), row.method)
    everywhere.replies += got.replies
    passed = answered_as_meant([r.status for r in got.replies], row.statuses)
    arrived_as_decided(
        everywhere,
        marks,
        subject,
        {row.target: row.arrived[:passed]},
        token="" if row.own else token,
        cut=row.cut,
    )
    assert CREDENTIAL.encode() not in got.data


@pytest.mark.parametrize(
    "status", [b"200 OK", b"204 No Content", b"401 Unauthorized", b"500 Error", b"101 Switching Protocols"]
)
@pytest.mark.parametrize("target", ["tap", "flow", "lean"])
def test_credentials_never_come_back(everywhere: Range, target: str, status: bytes) -> None:
    """Whatever status an upstream gives, it hands out neither the credential nor a session, and speaks not as we do."""
    _, token = everywhere.identity()
    tap, marks = everywhere.taps[target], everywhere.marks()
    tap.answer = b"HTTP/1.1 " + status + b"\r\nconnection: close\r\n" + SECRETS + b"content-length: 0\r\n\r\n"
    sent = CLEAN.replace(b"tap.", target.encode() + b".").replace(b"<TOKEN>", token.encode())
    got = wire.exchange(
        everywhere.gateway.port, (sent,), 0 if status[:1] == b"1" else 1, until_interim=status[:1] == b"1"
    )
    tap.answer = ANSWER
    assert [name for name, _ in everywhere.since(marks)] == [target]
    # Nobody asked for another protocol.
    assert got.data.startswith(b"HTTP/1.1 " + (b"502" if status[:1] == b"1" else status[:3]))
    assert CREDENTIAL.encode() not in got.data
    assert b"CLAIM" not in got.data


@pytest.mark.parametrize("target", ["tap", "flow", "lean"])
def test_credentials_never_come_back_in_trailers(everywhere: Range, target: str) -> None:
    """Nor behind the body."""
    _, token = everywhere.identity()
    tap, marks = everywhere.taps[target], everywhere.marks()
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    tap.answer = head + b"2\r\nok\r\n0\r\n" + SECRETS + b"\r\n"
    sent = CLEAN.replace(b"tap.", target.encode() + b".").replace(b"<TOKEN>", token.encode())
    got = wire.exchange(everywhere.gateway.port, (sent,), 1)
    tap.answer = ANSWER
    assert [name for name, _ in everywhere.since(marks)] == [target]
    assert got.data.startswith(b"HTTP/1.1 200")
    assert CREDENTIAL.encode() not in got.data
    assert b"CLAIM" not in got.data


@pytest.mark.parametrize("more", [b"", b"\r\ncontent-length: 0", b"\r\nupgrade: x\r\nconnection: upgrade"])
@pytest.mark.parametrize("target", ["tap", "flow", "lean"])
def test_a_protocol_that_nobody_asked_for_ends_the_connection(everywhere: Range, target: str, more: bytes) -> None:
    """What an upstream says after its 101 is nobody's answer, least of all the next one's."""
    _, token = everywhere.identity()
    tap, marks = everywhere.taps[target], everywhere.marks()
    tap.answer = b"HTTP/1.1 101 Switching Protocols" + more + b"\r\n\r\n" + ANSWER.replace(b"ok", b"no")
    tap.hang_up = False
    sent = CLEAN.replace(b"tap.", target.encode() + b".").replace(b"<TOKEN>", token.encode())
    got = wire.exchange(everywhere.gateway.port, (sent,), 1)
    ((_, connection),) = everywhere.since(marks)
    ended = connection.ended.wait(wire.SECONDS)
    tap.answer, tap.hang_up = ANSWER, True
    again = wire.exchange(everywhere.gateway.port, (sent,), 1)
    assert [r.status for r in got.replies] == [502]
    assert ended
    assert [(r.status, b"ok" in r.body) for r in again.replies] == [(200, True)]
    everywhere.replies += [*got.replies, *again.replies]


def test_no_record_is_large(everywhere: Range) -> None:
    """Whatever clients said at whatever length: of it a record has the start."""
    sizes = [r.end - r.offset for stream in streams(everywhere.gateway.state) for r in records(stream)]
    assert 8 << 10 < max(sizes) <= RECORD_BYTES


def test_every_answer_left_a_trace(everywhere: Range) -> None:
    """Of all that was tried above, each answer has its record, no decision was used twice, and nothing slipped by."""
    traced(everywhere)
