"""The figures that Prometheus reads. One set a process; the control process joins them (multiprocess mode)."""

import logging
import math
import time
from collections.abc import Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from extproc.domain.decision import Decision, Effect, Mode
from extproc.domain.json import Document

_log = logging.getLogger("holdpoint.policy")
_STAGES = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10, 60, 600)
# One line a second a code is enough for a person; the counter has them all.
_SAY_EVERY_SECONDS = 1.0
_BY_NAME = "key:"


class Metrics:
    """Counters and histograms of one worker. Children are looked up once: labels cost more than counting."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # None: collected through the multiprocess files alone.
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self._decisions = counter("holdpoint_decisions", "Decisions by effect and target.", ["effect", "target"])
        self._findings = counter(
            "holdpoint_findings", "Findings by policy, effect and mode.", ["policy", "effect", "mode"]
        )
        self._stage = histogram("holdpoint_stage_seconds", "Time by stage.", ["stage"], buckets=_STAGES)
        self._engine = counter("holdpoint_policy_failures", "Times the engine gave no decision, by code.", ["code"])
        self.holding = gauge("holdpoint_requests_held", "Requests that wait for people.", multiprocess_mode="livesum")
        self.exchanges = gauge("holdpoint_exchanges", "Exchanges under way.", multiprocess_mode="livesum")
        self.loop_lag = gauge(
            "holdpoint_loop_lag_seconds", "Worst event-loop lag of the last second.", multiprocess_mode="livemax"
        )
        self.loop_lag_worst = gauge(
            "holdpoint_loop_lag_worst_seconds", "Worst event-loop lag since start.", multiprocess_mode="livemax"
        )
        self.unwritable = counter("holdpoint_journal_unwritable", "Times the journal could not be written.")
        self._masked = counter(
            "holdpoint_masked", "Values masked by kind, lane and target.", ["kind", "lane", "target"]
        )
        self._turned_away = counter("holdpoint_turned_away", "Requests of nobody known, by code.", ["code"])
        self._remembered = counter(
            "holdpoint_remembered", "Decisions that policy was not asked for: it was asked the same before.", ["target"]
        )
        self._settled = counter(
            "holdpoint_settled",
            "Times the engine was asked what a decision depends on: remembered, asked-each-time, failed.",
            ["result"],
        )
        self._stages: dict[str, Histogram] = {}
        self._decided: dict[tuple[str, str], Counter] = {}
        self._found: dict[tuple[str, str, str], Counter] = {}
        self._said: dict[str, float] = {}
        self._recalled: dict[str, Counter] = {}
        # Made now, so that the file behind it is there when its blocks are reserved.
        self._stages["policy"] = self._stage.labels("policy")

    def decided(self, target: str, decision: Decision) -> None:
        """Count one decision and its findings."""
        key = (decision.effect.value, target)
        child = self._decided.get(key)
        if child is None:
            child = self._decided[key] = self._decisions.labels(*key)
        child.inc()
        for reason in decision.reasons:
            if reason.effect is Effect.ALLOW and reason.mode is Mode.ENFORCE:
                continue
            found = (reason.policy, reason.effect.value, reason.mode.value)
            finding = self._found.get(found)
            if finding is None:
                finding = self._found[found] = self._findings.labels(*found)
            finding.inc()

    def remembered(self, target: str) -> None:
        """Count a decision that was remembered; it is among the decisions too."""
        child = self._recalled.get(target)
        if child is None:
            child = self._recalled[target] = self._remembered.labels(target)
        child.inc()

    def settled(self, result: str) -> None:
        """Count a question of what a decision depends on."""
        self._settled.labels(result).inc()

    def turned_away(self, code: str) -> None:
        """Count a request that showed no identity that counts."""
        self._turned_away.labels(code).inc()

    def stage(self, name: str, seconds: float) -> None:
        """Observe the time that one stage took."""
        child = self._stages.get(name)
        if child is None:
            child = self._stages[name] = self._stage.labels(name)
        child.observe(seconds)

    def masked(self, target: str, lane: str, counts: Mapping[str, int]) -> None:
        """Count masked values of one exchange. Kinds are those of the rules, so there is an end to them; names of
        members are whatever policy makes of an input, and count together."""
        for kind, n in counts.items():
            self._masked.labels("key" if kind.startswith(_BY_NAME) else kind, lane, target).inc(n)

    def engine_failure(self, code: str, message: str) -> None:
        """Count an engine that gave no decision, and say why, at most once a second for each code."""
        self._engine.labels(code).inc()
        now = time.monotonic()
        if now - self._said.get(code, 0.0) >= _SAY_EVERY_SECONDS:
            self._said[code] = now
            _log.error("no decision: everything is blocked", extra={"code": code, "why": message})


class ShipperMetrics:
    """How far the export is behind, and the alarms."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        gauge = partial(Gauge, registry=registry)
        self._bytes = gauge("holdpoint_export_lag_bytes", "Journal not exported yet.", multiprocess_mode="livemax")
        self._age = gauge(
            "holdpoint_export_lag_seconds", "Age of the oldest record not exported yet.", multiprocess_mode="livemax"
        )
        # Nobody knows until it was looked at; a zero would say that all is sent.
        self.lag(math.nan, math.nan)
        self._spans = Counter(
            "holdpoint_export_spans",
            "Spans given to the collector: taken, refused, and of the taken those that it had refused before.",
            ["result"],
            registry=registry,
        )
        self._refused = 0
        self._alarms = Counter("holdpoint_alarms", "Alarms of the audit trail, by code.", ["code"], registry=registry)

    def lag(self, size: float, seconds: float) -> None:
        """Set how much is not exported yet: bytes, and the age of the oldest of it."""
        self._bytes.set(size)
        self._age.set(seconds)

    def exported(self, spans: int, taken: bool) -> None:
        """Count one attempt to send so many spans. What was refused is sent again, in smaller parts."""
        if not taken:
            self._refused = max(self._refused, spans)
            self._spans.labels("refused").inc(spans)
            return
        again = min(spans, self._refused)
        self._refused -= again
        self._spans.labels("taken").inc(spans)
        self._spans.labels("again").inc(again)

    def alarm(self, body: Document) -> None:
        """Count an alarm and say what it is about: bytes without a decision, a damaged journal or log."""
        code = str(body.get("code", "unknown"))
        self._alarms.labels(code).inc()
        _log.critical("ALARM", extra={"code": code, "request": body.get("request"), "stream": body.get("stream")})


class ArchivistMetrics:
    """How far witnesses are behind."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._behind = Gauge(
            "holdpoint_witness_behind",
            "Checkpoints that a witness has not been given yet.",
            ["witness"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._failures = Counter(
            "holdpoint_witness_failures", "Attempts at which a witness took nothing.", ["witness"], registry=registry
        )

    def witness(self, name: str, behind: int, reached: bool) -> None:
        """Note an attempt to give a witness what it lacks: so many checkpoints wait for it after it."""
        self._behind.labels(name).set(behind)
        if not reached:
            self._failures.labels(name).inc()
