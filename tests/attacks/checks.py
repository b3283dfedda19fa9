"""What must hold of every attack."""

import time
from collections.abc import Sequence

from tests.attacks.conftest import Range
from tests.attacks.witness import UNFINISHED

Result = int | str | None


def answered_as_meant(got: Sequence[Result], meant: Sequence[int | str | tuple[int | str, ...]]) -> int:
    """Every answer is one of those that will do; gives how many of them passed."""
    fits = [g in m if isinstance(m, tuple) else g == m for g, m in zip(got, meant, strict=False)]
    assert len(got) >= len(meant), f"{got}, expected {meant}"
    # A request cut off at its length may leave bytes behind that are no request: more answers, but none that pass.
    assert all(isinstance(g, int) and g >= 400 for g in got[len(meant) :]), f"{got}, expected {meant}"
    assert all(fits), f"{got}, expected {meant}"
    return sum(g == 200 for g in got)


def arrived_as_decided(
    everywhere: Range, marks: frozenset[int], subject: str, expected: dict[str, Sequence[str]], *, token: str, cut: bool
) -> None:
    """The upstreams got these request lines, by target, each decided on for this subject, each once. With `cut` the
    start of a request may have arrived as well."""
    found: dict[str, list[str]] = {}
    wrong: list[str] = []
    requests: list[str] = []
    for target, connection in everywhere.since(marks):
        faults = everywhere.judge(connection, target, token)
        data = bytes(connection.data)
        if b"CLAIM" in data:
            faults.append("a claim went on")
        if cut and all(f.startswith(UNFINISHED) for f in faults) and faults:
            continue
        wrong += [f"{target}: {f}" for f in faults]
        line = data.split(b"\r\n", 1)[0].decode("latin-1").rpartition(" ")[0]
        found.setdefault(target, []).append(line)
        requests += [ln[14:].decode() for ln in data.split(b"\r\n") if ln.startswith(b"x-request-id: ")]
    everywhere.journal.follow()
    mine = [d["request"] for d in everywhere.journal.of(subject) if d["outcome"] == "granted"]
    assert wrong == [], f"{wrong}"
    arrived = {t: sorted(x) for t, x in found.items()}
    meant = {t: sorted(x) for t, x in expected.items() if x}
    assert arrived == meant, f"{arrived} arrived, expected {meant}"
    assert cut or sorted(requests) == sorted(mine)


def traced(everywhere: Range, seconds: float = 10.0) -> None:
    """Every answer so far has a record: a decision's by its request id, or a refusal's. Nobodies (401) that knock at
    once are counted in one record, and those that Envoy refused before there was an id are as many as its records. No
    request was decided twice, and there is no alarm."""
    deadline = time.monotonic() + seconds
    while (lost := _untraced(everywhere)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lost == []
    assert everywhere.journal.twice == []
    assert everywhere.journal.alarms == []


def _untraced(everywhere: Range) -> list[str]:
    """Answers without a record, in words."""
    journal = everywhere.journal
    journal.follow()
    known = {*journal.decisions, *(r.get("request") for r in journal.refusals)}
    missing = [r for r in everywhere.replies if r.request and r.request not in known]
    # Of a crowd of nobodies the first has a record, and one counts the others: the worker's by kind, and Envoy's (which
    # name their place in its log).
    more = [r for r in journal.refusals if "more" in r]
    envoys = sum(r["more"] for r in more if "log" in r and r["code"] != "client-left")
    nobodies = sum(r.status == 401 for r in missing) - sum(r["more"] for r in more if "log" not in r)
    nameless = sum(not r.request for r in everywhere.replies)
    nameless -= sum(not r.get("request") and r["code"] != "client-left" and "more" not in r for r in journal.refusals)
    counted = min(max(nameless, 0), envoys)
    nameless, envoys = nameless - counted, envoys - counted
    lost = [f"{r.status}: {r.body[:80]!r}" for r in missing if r.status != 401][envoys:]
    return [*lost, *(f"{n} {what}" for n, what in ((nobodies, "of 401"), (nameless, "without an id")) if n > 0)]
