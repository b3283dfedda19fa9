"""What Jaeger holds against the journal: a real one, with traces on disk and in memory."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.jaeger import Jaeger as Asked
from extproc.adapters.otel import OtlpExporter
from extproc.audit.compare import Altered, Compared, Finding, Missing, StoreUnreachable, Unexpected, compare
from extproc.audit.erase import erase
from extproc.audit.journal import FileJournal
from extproc.audit.merge import SETTLE_SECONDS
from extproc.audit.reader import records
from extproc.audit.shipper import Shipper
from extproc.audit.spans import Kind, Span
from extproc.audit.store import Store
from extproc.domain.json import JSON
from tests.audit.conftest import TRACEPARENT, Streams, decision, delivery
from tests.support.jaeger import IN_MEMORY, ON_DISK, Jaeger, running_jaeger

ANN = {"issuer": "https://people", "subject": "ann"}


class Tampering:
    """An exporter that changes what passes: None for a span that it keeps back."""

    def __init__(self, otlp: str, change: Callable[[Span], Span | None] = lambda span: span) -> None:
        self._inner, self._change = OtlpExporter(otlp), change

    def export(self, spans: list[Span]) -> bool:
        """Send what is left of them."""
        kept = [changed for span in spans if (changed := self._change(span)) is not None]
        return not kept or self._inner.export(kept)

    def close(self) -> None:
        """Let the connection go."""
        self._inner.close()


def ship(streams: Streams, exporter: Tampering) -> None:
    """Ship all that there is."""
    streams.clock.now += SETTLE_SECONDS
    with contextlib.closing(Store(streams.state / "shipper.db")) as store:
        shipper = Shipper(streams.state, store, exporter, clock=streams.clock)
        while (step := shipper.step()).records or step.spans:
            assert step.sent


def found(streams: Streams, jaeger: Jaeger, since: int = 0) -> list[Finding]:
    """What a comparison finds."""
    with contextlib.closing(Asked(jaeger.page)) as asked:
        return list(compare(streams.state, asked.spans, since))


def names(spans: list[Finding]) -> list[str]:
    """What was found of which decision or other record, for spans that have its id."""
    said = []
    for finding in spans:
        if isinstance(finding, Missing | Altered):
            about = finding.told.span.attributes.get("holdpoint.decision.id", finding.told.span.name)
            said.append(f"{type(finding).__name__} {about}")
        elif isinstance(finding, Unexpected):
            said.append(f"Unexpected {finding.stored.name} {finding.copies}")
    return sorted(said)


@pytest.fixture(params=[ON_DISK, IN_MEMORY], ids=["badger", "memory"])
def jaeger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jaeger]:
    """A Jaeger of each kind, empty."""
    with running_jaeger(tmp_path, request.param) as running:
        yield running


def without(*decisions: str) -> Callable[[Span], Span | None]:
    """Keeps back the spans of these actions."""
    return lambda span: None if span.attributes.get("holdpoint.decision.id") in decisions else span


def write(streams: Streams) -> None:
    """Some of everything: traces that are claimed, held, refused, masked, unfinished; in several streams."""
    trace = {"traceparent": TRACEPARENT}
    other = {**decision()["principal"], "subject": "agent-8"}
    one, two, control = streams["worker-0"], streams["worker-1"], streams["control"]
    one.append("decision", decision("d1", "block", trace=trace))
    two.append("decision", decision("d2", trace=trace, principal=other))
    two.append("delivery", delivery("d2", masked={"response": {"ssn": 2}}, bodies={"request": {"address": "ab" * 32}}))
    control.append("vote", {"hold": "h1", "approver": ANN, "approve": True, "reason": "ticket <4711> & 'more' ü"})
    one.append("decision", decision("d3", hold="h1", approvers=[ANN], timings_us={"policy": 1, "hold": 9_000}))
    one.append("delivery", delivery("d3"))
    one.append("decision", decision("d4"))
    head: dict[str, JSON] = {"id": "a" * 32, "seq": 3, "hash": "b" * 64, "offset": 99}
    streams["archivist"].append("checkpoint", {"number": 7, "previous": "0" * 64, "streams": {"worker-0": head}})
    streams.restart("worker-0").append("decision", decision("d5"))


def test_what_was_shipped_is_there(streams: Streams, jaeger: Jaeger) -> None:
    """Nothing is found, though times and lists come back in another form, one action waits, and more was written
    since."""
    write(streams)
    ship(streams, Tampering(jaeger.otlp))
    streams["worker-0"].append("decision", decision("d6", "block"))
    (last,) = found(streams, jaeger)
    assert isinstance(last, Compared)
    assert (last.spans > 12, last.traces) == (True, 10)


def test_each_missing_altered_and_unexpected_span_is_named(streams: Streams, jaeger: Jaeger) -> None:
    """By the decision that it is of and what is different in it; what is sent again is missing no more."""
    write(streams)

    def change(span: Span) -> Span | None:
        about = span.attributes.get("holdpoint.decision.id")
        if about == "d1":
            return None
        if about == "d2":
            return replace(span, attributes={**span.attributes, "user.id": "somebody-else"})
        if span.name == "holdpoint vote":
            return replace(span, end=span.end + 5000)
        return span

    ship(streams, Tampering(jaeger.otlp, change))
    at = int(streams.clock.now * 1e6) * 1000 - 2_000_000_000
    forged = Span(TRACEPARENT.split("-")[1], "f" * 16, None, False, "FORGED", Kind.SERVER, at - 1000, at, {})
    assert Tampering(jaeger.otlp).export([forged])
    findings = found(streams, jaeger)
    assert names(findings) == ["Altered d2", "Altered holdpoint vote", "Missing d1", "Unexpected FORGED 1"]
    changes = {f.told.span.name: f.changes for f in findings if isinstance(f, Altered)}
    assert changes["DELETE crm"] == ("attribute user.id: sent 'agent-8', found 'somebody-else'",)
    assert changes["holdpoint vote"][0].startswith("end: sent ")
    missing = [f.told for f in findings if isinstance(f, Missing)]
    assert [(told.stream, told.seq) for told in missing] == [("worker-0", 1)]
    assert Tampering(jaeger.otlp).export([told.span for told in missing])
    assert "Missing d1" not in names(found(streams, jaeger))


def test_a_span_that_is_sent_again_is_there_once_on_disk(streams: Streams, tmp_path: Path) -> None:
    """The default storage keeps a span once, however often it is sent, and through a kill; memory keeps each."""
    write(streams)
    last: Finding | None = None
    for config, copies in ((ON_DISK, 1), (IN_MEMORY, 2)):
        folder = tmp_path / config.stem
        folder.mkdir()
        with running_jaeger(folder, config) as jaeger:
            for _ in range(2):
                for file in streams.state.glob("shipper.db*"):
                    file.unlink()
                ship(streams, Tampering(jaeger.otlp))
            *doubled, last = found(streams, jaeger)
        assert isinstance(last, Compared)
        assert all(isinstance(f, Unexpected) and f.harmless and f.copies == copies for f in doubled)
        assert len(doubled) == (copies - 1) * last.spans
    with running_jaeger(tmp_path / ON_DISK.stem, ON_DISK) as jaeger:
        assert found(streams, jaeger) == [last]


def test_only_what_is_later_is_compared(streams: Streams, tmp_path: Path) -> None:
    """Earlier spans may be missing, and are not unexpected where they are there."""
    streams["worker-0"].append("decision", decision("d1", "block"))
    streams["worker-0"].append("decision", decision("d2", "block"))
    streams.clock.now += 10
    since = int(streams.clock.now * 1e9)
    streams["worker-0"].append("decision", decision("d3", "block"))
    with running_jaeger(tmp_path) as jaeger:
        ship(
            streams,
            Tampering(jaeger.otlp, lambda s: None if s.attributes.get("holdpoint.decision.id") in ("d1", "d3") else s),
        )
        assert names(found(streams, jaeger, since)) == ["Missing d3"]
        assert names(found(streams, jaeger)) == ["Missing d1", "Missing d3"]


def test_erased_and_retired_records_are_not_asked_for(streams: Streams, tmp_path: Path) -> None:
    """Their spans may be there or not: neither is wrong. Nor is what followed from them, a vote or a late end."""
    write(streams)
    with running_jaeger(tmp_path) as jaeger:
        ship(streams, Tampering(jaeger.otlp))
        streams.close()
        for stream in ("worker-0", "worker-1", "control"):
            folder = streams.path(stream)
            journal = FileJournal(folder, stream, streams.clock, 0, segment_bytes=1)
            journal.append("config", {"what": "changed"})
            wanted = [r.offset for r in records(folder) if r.kind in ("decision", "delivery", "vote")]
            erase(folder, wanted[:: 2 if stream == "worker-0" else 1])
            journal.close()
        ship(streams, Tampering(jaeger.otlp))
        assert names(found(streams, jaeger)) == []
        min(streams.path("worker-1").glob("*.segment")).unlink()
        assert names(found(streams, jaeger)) == []


def test_a_jaeger_that_is_away_is_said(streams: Streams) -> None:
    """It is asked again a few times; then the error names it. Nothing shipped is nothing to ask."""
    waits: list[float] = []
    asked = Asked("http://127.0.0.1:1", 0.5, waits.append)
    assert list(compare(streams.state, asked.spans)) == [Compared(0, 0)]
    with pytest.raises(StoreUnreachable, match=r"http://127.0.0.1:1: .*refused"):
        list(asked.spans("0" * 32))
    assert len(waits) == 3


def command(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """`holdpoint audit` with these arguments."""
    line = [sys.executable, "-m", "extproc.cli", "audit", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_missing_is_sent_again(streams: Streams, tmp_path: Path) -> None:
    """`audit ship --missing` sends exactly that, beside the gateway, and says how many; with `--altered`, the right
    form of the others too. Afterwards nothing is left to find."""
    write(streams)
    with running_jaeger(tmp_path, ON_DISK) as jaeger:

        def change(span: Span) -> Span | None:
            return without("d1", "d3")(replace(span, name="OTHER") if span.name == "holdpoint vote" else span)

        ship(streams, Tampering(jaeger.otlp, change))
        where = ("--state", streams.state, "--otlp", jaeger.otlp, "--against-jaeger", jaeger.page)
        said = command("ship", "--missing", *where)
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.endswith("2 missing, 1 altered, 0 that no record tells\n2 spans were sent again\n")
        said = command("ship", "--missing", "--altered", "--json", *where)
        counts = json.loads(said.stdout)
        assert (counts["missing"], counts["altered"], counts["sent"]) == (0, 1, 1)
        assert [type(finding) for finding in found(streams, jaeger)] == [Compared]
    said = command("ship", "--missing", *where)
    assert said.returncode == 2
    assert "not compared with Jaeger: http://127.0.0.1:" in said.stderr
