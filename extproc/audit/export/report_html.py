"""report.html of an evidence bundle: who did what, what was decided and by whom, and what proves it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from extproc.audit.attributes import part
from extproc.audit.export.exchange import Bodies, Exchange, Session, read, text
from extproc.audit.export.page import (
    EFFECTS,
    bar,
    by_effect,
    chip,
    clock,
    code,
    cut,
    effect_chip,
    facts,
    figures,
    page,
    shown,
    span,
    table,
)
from extproc.audit.export.proof import Run
from extproc.audit.export.report_action import detail, ruling
from extproc.audit.frame import Record
from extproc.audit.reader import Joined

LISTED, DETAILED = 2000, 200
"""Exchanges in the list, and those of them that are shown in full; what is left out is said, and is in records/."""


def report(session: Session, runs: Sequence[Run], gone: Mapping[str, str], bodies: Bodies) -> Iterator[bytes]:
    """The page in pieces. `gone` says of bodies that are not in the bundle why not."""
    summary = _Summary()
    for joined in session.exchanges():
        summary.take(joined)
    title = f"What {summary.who} asked for" if summary.who else session.name
    lead = f'<p class="lead">{shown(session.name)}, {shown(span(summary.first, summary.last))}</p>'
    sections = _sections(session, summary, runs, gone, bodies)
    return page(title, "Evidence report", lead, sections, f"Holdpoint evidence report: {session.name}")


class _Summary:
    """What is counted over all exchanges."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.masked: Counter[str] = Counter()
        self.targets: Counter[str] = Counter()
        self.approvers: Counter[str] = Counter()
        self.first = self.last = self.who = ""
        self.principal: Mapping[str, object] = {}
        self.source = ""

    def take(self, joined: Joined) -> None:
        found = read(joined)
        self.effects[found.effect] += 1
        self.targets[found.target] += 1
        for lane in found.masked.values():
            self.masked.update(lane)
        self.approvers.update(vote.who for vote in found.votes if vote.approve)
        self.first, self.last = min(self.first or found.at, found.at), max(self.last, found.at)
        if not self.who:
            self.who, self.principal = found.subject, part(joined.decision.body, "principal")
            self.source = text(part(joined.decision.body, "source").get("address"))


def _sections(
    session: Session, summary: _Summary, runs: Sequence[Run], gone: Mapping[str, str], bodies: Bodies
) -> Iterator[str]:
    total = sum(summary.effects.values())
    yield _verdict(runs)
    yield "<section><h2>Summary</h2>" + figures([("actions", total, ""), *by_effect(summary.effects)])
    yield bar([(effect, summary.effects[effect]) for effect in EFFECTS])
    yield facts(_who(summary)) + "</section>"
    yield "<section><h2>Actions</h2>"
    listed = enumerate(map(read, islice(session.exchanges(), LISTED)), 1)
    head = ("", "Time", "Action", "Decision", "Why", "Answer")
    yield table(head, (_row(n, found) for n, found in listed), numbers=(0, 5), none="This session asked for nothing.")
    yield _left_out(total, LISTED, "listed")
    if erased := session.gone():
        yield f'<p class="note">The records of {erased:,} more actions were erased by retention.</p>'
    yield "</section>"
    yield "<section><h2>Each action</h2>"
    for n, joined in enumerate(islice(session.exchanges(), DETAILED), 1):
        yield detail(n, joined, bodies, gone)
    yield _left_out(total, DETAILED, "shown in full") + "</section>"
    yield "<section><h2>Other records of this session</h2>"
    yield table(("Time", "Record", "What", "By"), map(_other, islice(session.others(), LISTED)))
    yield "</section>"
    yield _integrity(runs, gone)


def _verdict(runs: Sequence[Run]) -> str:
    unsigned = sorted({run.stream for run in runs if run.signed is None})
    if unsigned:
        return (
            f'<p class="warn"><b>Not all of this is signed yet.</b> Records of {shown(", ".join(unsigned))} come after '
            "the last signed head; until a later one covers them, nothing proves that they were not changed. Export "
            "again after the next checkpoint.</p>"
        )
    keys = ", ".join(sorted({run.key for run in runs}))
    return (
        f'<p class="fine"><b>Every record is below a signed head</b> (key {code(keys)}). This page says so; what '
        'proves it is <code class="line">python3 verify.py --key audit.pub</code>, run beside this file.</p>'
    )


def _who(summary: _Summary) -> Iterator[tuple[str, str]]:
    who = summary.principal
    yield "Who", f"<b>{shown(summary.who)}</b> {shown(text(who.get('kind')))}"
    yield "Known by", code(text(who.get("issuer")) or "-")
    groups = who.get("groups")
    if isinstance(groups, list) and groups:
        yield "Groups", shown(", ".join(map(str, groups)))
    if who.get("acts_for"):
        yield "Acts for", shown(who["acts_for"])
    yield "From", code(summary.source or "-")
    yield "When", shown(span(summary.first, summary.last))
    yield "Asked of", shown(", ".join(f"{name} ({n})" for name, n in summary.targets.most_common(20)) or "-")
    yield "Approved by", shown(", ".join(f"{who} ({n})" for who, n in summary.approvers.most_common(20)) or "nobody")
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(summary.masked.items()))
    yield "Masked values", shown(kinds or "none")


def _row(n: int, found: Exchange) -> tuple[str, ...]:
    number = f'<a href="#action-{n}">{n}</a>' if n <= DETAILED else str(n)
    policies = dict.fromkeys(str(r.get("policy")) for r in found.reasons if r.get("mode") != "shadow")
    what = f"{code(found.verb)} {shown(found.target)} {code(cut(found.path, 160))}"
    return (
        number,
        f'<span class="line">{shown(clock(found.at))}</span>',
        what,
        f'<span class="line">{effect_chip(found.effect)}{ruling(found)}</span>',
        shown(", ".join(policies)),
        shown(found.status or "-"),
    )


def _other(record: Record) -> tuple[str, ...]:
    by = part(record.body, "by")
    what = text(record.body.get("what")) or text(record.body.get("state"))
    return shown(record.at), shown(record.kind), shown(what or "-"), shown(by.get("subject") or "-")


def _integrity(runs: Sequence[Run], gone: Mapping[str, str]) -> str:
    def signer(run: Run) -> str:
        if run.signed is None:
            return chip("not signed yet", "bad")
        ((kind, number),) = run.signed.items()
        return f"{shown(kind)} {number}"

    lines = (
        (shown(r.stream), f"{r.first.seq} to {r.last}", signer(r), shown(clock(r.at) or "-"), code(r.hash or "-"))
        for r in runs
    )
    missing = ""
    if gone:
        cells = ((code(address), shown(why)) for address, why in sorted(gone.items())[:LISTED])
        missing = "<h3>Bodies that are not in this bundle</h3>" + table(("Address", "Why"), cells)
    return (
        "<section><h2>Integrity</h2><p>Each record names the hash of the one before it. From every record here the "
        "digests of all that follow lead to a head that the gateway signed with Ed25519; of records that belong to "
        "others, only the digest is given.</p>"
        + table(
            ("Stream", "Records", "Signed by", "At", "Head: the last record's hash"),
            lines,
            none="There are no records.",
        )
        + missing
        + "<h3>How to verify</h3><ol><li>Get the gateway's public key from somebody you trust, not from this bundle, "
        "and <code>verify.py</code> from Holdpoint's own release or read it: it is 250 lines.</li>"
        "<li>Run <code>python3 verify.py --key audit.pub</code> (Python 3.8 or later, nothing to install).</li>"
        "<li>Compare the signed heads above with those that a witness outside the gateway holds: the trace store, an "
        "object store, a file elsewhere. Signatures prove who wrote them, witnesses that nothing was written anew "
        "since.</li></ol></section>"
    )


def _left_out(total: int, most: int, how: str) -> str:
    if total <= most:
        return ""
    return f'<p class="note">{most:,} of {total:,} actions are {how}; all are in records/.</p>'
