"""From samples to figures: one line for each row and number of connections. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.cases import ROWS, Row, Way
from bench.run import Sample


@dataclass(frozen=True, slots=True)
class Line:
    """Medians over the rounds. `rate` is requests a second, `ratio` that of plain Envoy's in the same round; latencies
    in milliseconds, `added_*` beyond plain Envoy's in the same round; `cpu_us` is for one request, by part, the client
    under `client`; `client_busy` is the share of one core that the client took. Lag is the worst of all rounds."""

    row: Row
    connections: int
    requests: int
    rate: float
    rates: tuple[float, ...]
    ratio: float
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    added_p99_ms: float
    cpu_us: dict[str, float]
    client_busy: float
    lag_ms: float | None


@dataclass(frozen=True, slots=True)
class _Seen:
    rate: float
    p50_ms: float
    p99_ms: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the (sorted, not empty) values lies, by nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def lines(samples: Sequence[Sample]) -> list[Line]:
    """The lines, rows in their usual order."""
    found = []
    for row in ROWS:
        for connections in sorted({s.connections for s in samples}):
            mine = [s for s in samples if (s.row, s.connections) == (row, connections)]
            plain = [s for s in samples if (s.row, s.connections) == (Row(Way.PLAIN, row.payload), connections)]
            if mine:
                found.append(_line(row, connections, mine, plain))
    return found


def _line(row: Row, connections: int, mine: list[Sample], plain: list[Sample]) -> Line:
    seen = [_seen(s) for s in mine]
    beside = [_seen(s) for s in plain]
    parts = {part for s in mine for part in s.result.cpu_us}
    lags = [s.lag_seconds * 1000 for s in mine if s.lag_seconds is not None]
    return Line(
        row,
        connections,
        sum(len(s.result.latencies_us) for s in mine),
        median(s.rate for s in seen),
        tuple(s.rate for s in seen),
        median(s.rate / p.rate for s, p in zip(seen, beside, strict=True)),
        median(s.p50_ms for s in seen),
        median(s.p99_ms for s in seen),
        median(s.p50_ms - p.p50_ms for s, p in zip(seen, beside, strict=True)),
        median(s.p99_ms - p.p99_ms for s, p in zip(seen, beside, strict=True)),
        {part: median(s.result.cpu_us.get(part, 0.0) / len(s.result.latencies_us) for s in mine) for part in parts},
        median(s.result.cpu_us["client"] / 1e6 / s.result.seconds for s in mine),
        max(lags) if lags else None,
    )


def _seen(sample: Sample) -> _Seen:
    ordered = sorted(sample.result.latencies_us)
    rate = len(ordered) / sample.result.seconds
    return _Seen(rate, percentile(ordered, 0.50) / 1000, percentile(ordered, 0.99) / 1000)
