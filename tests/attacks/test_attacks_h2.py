"""No way round over HTTP/2: what becomes of frames on the way to an HTTP/1.1 upstream."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.attacks.checks import answered_as_meant, arrived_as_decided, traced
from tests.attacks.conftest import Range
from tests.attacks.table_h2 import ENDED, ROWS, Row2
from tests.attacks.tap import Connection
from tests.attacks.wire2 import Outcome, exchange2

CASES = [
    pytest.param(row, id=row.id, marks=[pytest.mark.xfail(reason=row.finding, strict=True)] if row.finding else [])
    for row in ROWS
]


def attack(everywhere: Range, row: Row2, token: str) -> list[Outcome]:
    """Send a row's streams."""
    streams = tuple(
        replace(s, fields=tuple((n, v.replace(b"<TOKEN>", token.encode())) for n, v in s.fields)) for s in row.streams
    )
    outcomes = exchange2(everywhere.gateway.port, streams)
    everywhere.replies += [o.reply for o in outcomes if o.reply is not None]
    return outcomes


Together = tuple[dict[str, list[Outcome]], list[tuple[str, Connection]]]


@pytest.fixture(scope="module")
def together(everywhere: Range) -> Together:
    """Outcomes of the rows that must end without an answer, by id, and what arrived meanwhile. All at once: Envoy
    closes such a connection only a second later."""
    rows = [row for row in ROWS if row.results == (ENDED,) and not row.cut and not row.finding]
    marks, tokens = everywhere.marks(), [everywhere.identity()[1] for _ in rows]
    with ThreadPoolExecutor(len(rows)) as pool:
        outcomes = list(pool.map(lambda pair: attack(everywhere, *pair), zip(rows, tokens, strict=True)))
    return {row.id: found for row, found in zip(rows, outcomes, strict=True)}, everywhere.since(marks)


@pytest.mark.parametrize("row", CASES)
def test_over_http2(everywhere: Range, together: Together, row: Row2) -> None:
    """The answer is the one that must be, and nothing arrives but what was decided on."""
    ended, arrived = together
    if row.id in ended:
        assert answered_as_meant([o.result for o in ended[row.id]], row.results) == 0
        assert [(target, bytes(c.data)) for target, c in arrived] == []
        return
    subject, token = everywhere.identity()
    marks = everywhere.marks()
    outcomes = attack(everywhere, row, token)
    passed = answered_as_meant([o.result for o in outcomes], row.results)
    arrived_as_decided(everywhere, marks, subject, {row.target: row.arrived[:passed]}, token=token, cut=row.cut)


def test_every_answer_left_a_trace(everywhere: Range) -> None:
    """Of all that was tried above, each answer has its record, no decision was used twice, and nothing slipped by."""
    traced(everywhere)
