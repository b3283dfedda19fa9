"""The bench's parts: what it reads, checks and computes, and a whole run with tiny counts."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bench import cases, clock, load, recording
from bench.__main__ import PAGE
from bench.cases import Options, Payload, Row, Way
from bench.children import BenchFailed, Child, python
from bench.envoys import without_processor
from bench.fairness import FairnessLine
from bench.figures import lines, percentile
from bench.http1 import Answer, Malformed, read
from bench.load import Cell, Result
from bench.recording import CELLS, KeepingSample
from bench.report import Report
from bench.run import Run, Sample, rounds, started
from bench.stages import Stages
from bench.targets import TargetsLine
from bench.trail import STEPS, Cost, Search, Trail
from bench.trail import measure as measure_trail

SIZED = b"HTTP/1.1 200 OK\r\nx-upstream-saw: clean\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SIZED, Answer(200, "clean", b"hello")),
        (CHUNKED, Answer(200, "", b"hello")),
        (EMPTY, Answer(503, "", b"")),
    ],
)
def test_an_answer_is_read_when_it_is_whole(data: bytes, expected: Answer) -> None:
    """Cut anywhere it is not whole yet, and nothing is wrong with it."""
    assert read(data) == expected
    assert [read(data[:i]) for i in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        SIZED + b"more",
        CHUNKED.replace(b"3\r\nhel", b"z\r\nhel"),
    ],
)
def test_nonsense_is_no_answer(data: bytes) -> None:
    """What Envoy never sends ends the run instead of being counted."""
    with pytest.raises(Malformed):
        read(data)


def test_the_payloads_have_the_sizes_and_secrets_that_the_page_tells() -> None:
    """About 1 KB there and 4 KB back, with what is to be masked in both."""
    assert 800 < len(cases.request_body()) < 1200
    assert 3600 < len(cases.response_body()) < 4400
    assert all(value.encode() in cases.request_body() for value in cases.SECRETS)
    assert all(value.encode() in cases.response_body() for value in cases.PERSONAL)


MASKED = cases.response_body()
for _value in cases.PERSONAL:
    MASKED = MASKED.replace(_value.encode(), b"[masked:card]")


@pytest.mark.parametrize(
    ("way", "payload", "status", "saw", "body", "faults"),
    [
        (Way.PLAIN, Payload.HEADS, 200, "clean", cases.small_body(), 0),
        (Way.PLAIN, Payload.BODIES, 200, "secret", cases.response_body(), 0),
        (Way.HOLDPOINT, Payload.BODIES, 200, "clean", MASKED, 0),
        (Way.HOLDPOINT, Payload.BODIES, 200, "secret", MASKED, 1),
        (Way.HOLDPOINT, Payload.BODIES, 200, "clean", cases.response_body(), 4),
        (Way.HOLDPOINT, Payload.HEADS, 503, "", b"", 2),
        (Way.CONTINUE, Payload.BODIES, 200, "clean", b"", 2),
    ],
)
def test_a_wrong_answer_has_its_faults(
    way: Way, payload: Payload, status: int, saw: str, body: bytes, faults: int
) -> None:
    """Status, what the upstream saw, and what the agent got: each is looked at."""
    assert len(cases.faults(Row(way, payload), status, saw, body)) == faults


def test_envoy_without_the_processor_keeps_everything_else() -> None:
    """The filters go from the listener, and their settings from the routes."""
    names = ["envoy.filters.http.jwt_authn", "envoy.filters.http.ext_proc", "envoy.filters.http.rbac", "router"]
    document = {
        "http_filters": [{"name": name} for name in names],
        "routes": [{"typed_per_filter_config": {"envoy.filters.http.ext_proc": {}, "other": 1}, "name": "crm"}],
    }
    assert without_processor(document) == {
        "http_filters": [{"name": names[0]}, {"name": "router"}],
        "routes": [{"typed_per_filter_config": {"other": 1}, "name": "crm"}],
    }


def test_the_clock_of_another_process_runs() -> None:
    """It counts this process's own time as this process does, and knows no process that is gone."""
    before = clock.cpu_seconds(os.getpid())
    sum(range(200_000))
    assert clock.cpu_seconds(os.getpid()) > before
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(OSError, match=r".*"):
        clock.cpu_seconds(gone.pid)


def _samples() -> list[Sample]:
    samples = []
    for number, slow in enumerate((1.0, 10.0, 2.0)):
        for row in cases.ROWS:
            micros = 100.0 * slow + (0.0 if row.way is Way.PLAIN else 500.0)
            result = Result(4, 1.0, [micros] * 4, {"client": 2000.0, "python": 4000.0})
            samples.append(Sample(row, 1, number, result, 0.002))
    return samples


def _kept() -> list[KeepingSample]:
    """Three rounds, the second slow for all; whatever keeps more takes twice as long."""
    samples = []
    for slow in (1.0, 10.0, 2.0):
        for keeping in CELLS:
            micros = slow * (1000.0 if keeping is CELLS[0] else 2000.0)
            samples.append(KeepingSample(keeping, 1, Result(4, 1.0, [micros] * 4, {"python": micros})))
    return samples


TRAIL = Trail({"append": Cost(1000, 2_000_000, 0.5, 0.25, 80_000_000)}, [Search("a rare word", 3, 0.5, 1.5)])
MARKS = ["machine", "table", "stages", "keeping", "trail", "search", "fairness", "targets"]


def test_ways_of_keeping_are_compared_within_a_round() -> None:
    """With the first of them, which costs what it costs."""
    first, *others = recording.lines(_kept())
    assert (first.ratio, first.added_p50_ms, first.cpu_ratio) == (1.0, 0.0, 1.0)
    assert {(line.added_p50_ms, line.cpu_ratio, line.requests) for line in others} == {(2.0, 2.0, 12)}


def test_the_trail_is_written_verified_indexed_and_searched(tmp_path: Path) -> None:
    """Each step in a process of its own, over the same records; every question that has an answer finds it."""
    said: list[str] = []
    found = measure_trail(tmp_path, 12_000, said.append)
    assert len(said) == 4
    assert {name: cost.records for name, cost in found.steps.items()} == dict.fromkeys(STEPS, 12_000)
    assert all(cost.bytes > 1_000_000 and cost.rate > 0 for cost in found.steps.values())
    assert {s.question for s in found.searches if not s.rows} == {"a word that is not there"}


CHANGES = [TargetsLine(10, 8.8, 0.444, 0.4)]
FAIR = [FairnessLine("nothing", 100, 1.0, 2.0, 1.0, 0), FairnessLine("JSON of 24,000 members", 90, 1.5, 5.0, 2.5, 0)]


def test_a_report_is_text_json_and_a_page(tmp_path: Path) -> None:
    """All three from one run; the page keeps what is outside its marks and can be refreshed again."""
    nothing = {payload.value: 1.0 for payload in Payload}
    stages = Stages({payload.value: {"a step": 2.0} for payload in Payload}, nothing, nothing)
    samples = _samples()
    run = Run(tuple(samples), {"heads": 3, "bodies": 2}, 0, 0.001, 0.004)
    kept = recording.lines(_kept())
    report = Report(Options(), {"CPU": "any"}, 0.5, lines(samples), run, stages, kept, TRAIL, FAIR, CHANGES)
    assert "Holdpoint, headers only" in report.text()
    assert "JSON of 24,000 members" in report.text()
    assert "10           8.8   0.44      0.40" in report.text()
    document = orjson.loads(orjson.dumps(report.document()))
    assert [line["way"] for line in document["lines"][:3]] == list(Way)
    page = tmp_path / "page.md"
    page.write_text("".join(f"before\n<!-- bench: {name} -->\n<!-- end -->\n" for name in MARKS))
    report.refresh(page)
    once = page.read_text()
    assert once.count("before\n") == len(MARKS)
    assert "| CPU | any |" in once
    report.refresh(page)
    assert page.read_text() == once
    page.write_text("nothing to fill")
    with pytest.raises(ValueError, match="machine"):
        report.refresh(page)


def test_the_page_of_the_documentation_has_its_marks() -> None:
    """So that `--markdown` can fill it; `bench.postgres` fills its own."""
    assert re.findall(r"<!-- bench: (\w+) -->", PAGE.read_text()) == [*MARKS[:3], "postgres", *MARKS[3:]]


def test_figures_are_differences_within_a_round() -> None:
    """A round that was slow for all adds nothing."""
    plain, _, ours, *_ = lines(_samples())
    assert (plain.added_p50_ms, plain.ratio) == (0.0, 1.0)
    assert round(ours.added_p50_ms, 9) == 0.5
    assert (ours.requests, ours.rate, ours.cpu_us["python"], ours.lag_ms) == (12, 4.0, 1000.0, 2.0)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_percentiles(share: float, expected: float) -> None:
    """Nearest rank."""
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == expected


@pytest.fixture
def upstream() -> Iterator[tuple[Child, int]]:
    """The bench's upstream and its port."""
    child = python("bench.upstream")
    try:
        yield child, int(child.line())
    finally:
        child.stop()


def _cell(port: int, pid: int, **changes: object) -> Cell:
    given: dict[str, object] = {
        "port": port,
        "request": cases.request(Payload.BODIES, "x.test", "t"),
        "expected": cases.response_body(),
        "saw": "secret",
        "connections": 3,
        "seconds": 0.1,
        "warm_seconds": 0.0,
        "most_requests": 1000,
        "pids": {"upstream": [pid]},
    }
    return Cell(**{**given, **changes})  # type: ignore[arg-type]


def test_the_load_generator_measures_its_upstream(upstream: tuple[Child, int]) -> None:
    """Right answers, latencies for each, CPU of both ends; a cell survives its own wire format."""
    child, port = upstream
    cell = load.unpack(load.pack(_cell(port, child.pid)))
    assert cell == _cell(port, child.pid)
    result = asyncio.run(load.run(cell))
    assert result.wrong == ""
    assert 0 < len(result.latencies_us) <= result.sent
    assert set(result.cpu_us) == {"upstream", "client"}


@pytest.mark.parametrize("changes", [{"expected": b"other"}, {"saw": "clean"}])
def test_a_wrong_answer_spoils_the_cell(upstream: tuple[Child, int], changes: dict[str, object]) -> None:
    """Whatever it measured."""
    child, port = upstream
    assert asyncio.run(load.run(_cell(port, child.pid, **changes))).wrong != ""


def test_a_child_that_ends_is_told_with_its_last_words() -> None:
    """So that whoever runs the bench learns why."""
    child = Child([sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"])
    assert child.line() == b"out of luck\n"
    with pytest.raises(BenchFailed, match=r"(?s)status 3.*out of luck"):
        child.line()
    child.stop()


def test_a_whole_run_with_tiny_counts() -> None:
    """Every row measured, every answer right, every request in the journal."""
    tiny = Options(rounds=1, seconds=0.5, warm_seconds=0.0, most_requests=20, connections=(1, 2), workers=1)
    said: list[str] = []
    with started(tiny) as bench:
        run = rounds(bench, tiny, said.append)
    assert said == ["round 1 of 1"]
    assert len(run.samples) == len(cases.ROWS) * 2
    assert all(orjson.dumps(sample.result.cpu_us) for sample in run.samples)
    assert set(run.recorded) == set(Payload)
    assert all(figures.requests > 0 for figures in lines(run.samples))


def test_every_way_of_keeping_with_tiny_counts() -> None:
    """Every answer right, every request in the journal."""
    tiny = Options(rounds=1, seconds=0.5, warm_seconds=0.0, most_requests=20, workers=1)
    found = recording.measure(tiny, lambda text: None)
    assert {line.keeping for line in found} == set(CELLS)
    assert all(line.requests > 0 and line.cpu_us > 0 for line in found)
