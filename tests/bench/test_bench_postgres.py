"""From the samples of bench.postgres to its tables and its page."""

from pathlib import Path

import pytest

from bench.__main__ import PAGE
from bench.postgres.cases import LABELS, Mode, Options, Way
from bench.postgres.measure import CopySample, Sample
from bench.postgres.report import Report

RATES = {
    Way.DIRECT: 1000.0, Way.ENVOY: 500.0, Way.RELAY: 450.0, Way.PGBOUNCER: 800.0, Way.ASKED: 10.0,
    Way.REMEMBERED: 100.0, Way.LEAN: 400.0,
}  # fmt: skip
OURS = {"envoy": 30.0, "databases": 600.0, "opa": 1.0, "beside": 5.0}
CPU = {
    Way.DIRECT: {}, Way.ENVOY: {"envoy": 9.0}, Way.RELAY: {"envoy": 9.0, "databases": 20.0},
    Way.PGBOUNCER: {"pgbouncer": 7.0}, Way.ASKED: OURS, Way.REMEMBERED: OURS, Way.LEAN: OURS,
}  # fmt: skip


def _report() -> Report:
    options = Options(rounds=3, clients=(1, 8), modes=(Mode.PREPARED,))
    samples = [
        # Each round is as slow for all: ratios stay what they are.
        Sample(way, Mode.PREPARED, clients, number, RATES[way] / (number + 1), CPU[way])
        for number in range(3)
        for clients in options.clients
        for way in Way
    ]
    copies = [
        CopySample(way, number, RATES[way] / divisor, dict.fromkeys(CPU[way], 0.5))
        for number in range(3)
        for way in Way
        for divisor in (2, 1)
    ]
    return Report(options, {"cores": "2"}, 0.5, samples, copies)


def test_ratios_are_of_the_same_round() -> None:
    """A slow round slows what it is compared with as well; the fastest COPY of a round counts."""
    report = _report()
    for line in report.lines():
        assert (line.direct, line.envoy) == (RATES[line.way] / 1000, RATES[line.way] / 500)
        assert line.rate == RATES[line.way] / 2
    assert [line.direct for line in report.copy_lines()] == [RATES[way] / 1000 for way in Way]


def test_aims_are_told_with_how_far_they_are() -> None:
    """Those with decisions remembered count, and the better of them."""
    assert _report().document()["aims"] == [
        "prepared, 1 client: 0.400 of direct, aim 0.35: met",
        "prepared, 8 clients: 0.400 of direct, aim 0.45: missed by a factor of 1.1",
        "COPY out: 0.400 of direct, aim 0.50: missed by a factor of 1.2",
    ]


def test_the_page_has_a_place_for_it(tmp_path: Path) -> None:
    """Both tables, the aims and the notes go between the marks of the page as it is; without a mark it is an error."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text("utf-8"), "utf-8")
    _report().refresh(page)
    part = page.read_text("utf-8").split("<!-- bench: postgres -->\n")[1].split("<!-- end -->")[0]
    assert all(label in part for label in LABELS.values())
    assert "| 600 | 1 |" in part
    assert "COPY out: 0.400" in part
    page.write_text("nothing")
    with pytest.raises(ValueError, match="bench: postgres"):
        _report().refresh(page)


def test_the_text_has_all_ways() -> None:
    """Each in both tables, with what the machine was doing."""
    text = _report().text()
    assert all(text.count(label) == 3 for label in LABELS.values())
    assert "load average was 0.5" in text
