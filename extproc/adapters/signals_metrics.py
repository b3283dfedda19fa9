"""The watcher's Prometheus figures: by target, kind and effect, which configuration bounds; never by principal."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from extproc.audit.signals.facts import Fact, Said


class SignalMetrics:
    """Counts what the watcher reads. Records that it reads again after a lost database are counted again."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """`registry` None: collected through the multiprocess files alone."""
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry, multiprocess_mode="livemax")
        self._figures = {
            "requests": counter("holdpoint_signal_requests", "Actions asked for, by target.", ["target"]),
            "allowed": counter("holdpoint_signal_allowed", "Actions allowed, by target.", ["target"]),
            "held": counter("holdpoint_signal_held", "Decisions to hold, by target.", ["target"]),
            "blocked": counter("holdpoint_signal_blocked", "Actions blocked, by target.", ["target"]),
            "rows": counter("holdpoint_signal_rows", "Rows read, by target.", ["target"]),
        }
        self._bytes = counter("holdpoint_signal_bytes", "Bytes delivered, by target and lane.", ["target", "lane"])
        self._masked = counter(
            "holdpoint_signal_masked", "Values masked, by target, lane and kind.", ["target", "lane", "kind"]
        )
        self._failed = counter("holdpoint_signal_failed", "Actions that upstream answered with an error.", ["target"])
        self._unexpected = counter("holdpoint_signal_unexpected_destinations", "Asked for what is no target.")
        self._forgotten = counter("holdpoint_signal_forgotten", "Principals forgotten: too many, or long away.")
        self._principals = gauge("holdpoint_signal_principals", "Principals that figures are kept of.")
        self._behind = gauge("holdpoint_signal_behind_bytes", "Journal that is not counted yet.")
        self._faults = gauge("holdpoint_signal_faulty_journals", "Journals that can't be read on.")

    def took(self, fact: Fact) -> None:
        """Count a fact."""
        target = fact.target or "-"
        if fact.said is Said.FAILED:
            self._failed.labels(target).inc()
        for path, n in fact.counts:
            name, *rest = path.split("/", 2)
            if name == "masked":
                self._masked.labels(target, *rest).inc(n)
            elif name == "bytes":
                self._bytes.labels(target, *rest).inc(n)
            elif name in self._figures:
                self._figures[name].labels(target).inc(n)
            else:
                self._unexpected.inc(n)

    def standing(self, principals: int, forgotten: int, behind: int, faults: int) -> None:
        """Set how things are: principals kept, forgotten since the last call, bytes not counted, journals in fault."""
        self._principals.set(principals)
        self._forgotten.inc(forgotten)
        self._behind.set(behind)
        self._faults.set(faults)
