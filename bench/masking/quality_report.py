"""An evaluation as text, as JSON, and as generated parts of docs/masking-quality.md."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.masking import kinds, ours
from bench.masking.cells import met, share
from bench.masking.corpora import MB
from bench.masking.quality import FILES, PRESIDIO, SECRETS, SURE, WEIGHTY, Alarms, Bare, Quality, Row, total
from bench.masking.score import Tally
from bench.tables import Table, aligned, markdown, refresh

LEAST_RECALL = 0.95
"""Recall of secrets that is aimed at."""

MOST_ALARMS = 0.5
"""False alarms that are aimed at, as a share of detect-secrets'."""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What `python -m bench.masking quality` says."""

    quality: Quality

    def text(self) -> str:
        """For a terminal."""
        tables = [f"{name}\n{aligned(*table)}" for name, table in self._tables().items()]
        return "\n\n".join((*tables, *self._verdicts()))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "versions": self.quality.versions,
            "rules": ours.rules(),
            "tables": {name: [asdict(row) for row in rows] for name, rows in self.quality.tables.items()},
            "clean": [asdict(alarms) for alarms in self.quality.alarms],
            "bare": [asdict(bare) for bare in self.quality.bare],
        }

    def refresh(self, page: Path) -> None:
        """Put the tables into the page. Raises OSError, and ValueError where a mark is missing."""
        parts = {name: markdown(*table) for name, table in self._tables().items()}
        versions = ", ".join(self.quality.versions)
        refresh(page, {**parts, "verdicts": "\n".join(f"- {v}" for v in self._verdicts()) + f"\n\nBeside: {versions}."})

    def examples(self) -> str:
        """What was missed, what was found wrongly, and samples of each kind from the clean texts; quotes the data."""
        said: list[str] = []
        for name, rows in self.quality.tables.items():
            for row in rows:
                said += [f"{name}, {row.entity}: missed in {text}" for text in row.missed]
                said += [f"{name}, {row.entity}: wrong in {text}" for text in row.wrong]
        for alarms in self.quality.alarms:
            for engine, samples in alarms.samples.items():
                for kind, texts in sorted(samples.items()):
                    said += [f"{alarms.corpus}, {engine}, {kind}: {text}" for text in texts]
        return "\n".join(said)

    def _tables(self) -> dict[str, Table]:
        tables: dict[str, Table] = {}
        for name, rows in self.quality.tables.items():
            tables[name] = _secrets_table(rows) if name == "detect-secrets" else _entity_table(rows)
        if self.quality.bare:
            tables["bare"] = _bare_table(self.quality.bare)
        if self.quality.alarms:
            tables["clean"] = _totals_table(self.quality.alarms)
            tables["clean-entities"] = _alarms_table(self.quality.alarms)
            tables["clean-kinds"] = _kinds_table(self.quality.alarms)
        return tables

    def _verdicts(self) -> list[str]:
        said = []
        for name, rows in self.quality.tables.items():
            if name == "detect-secrets":
                recall = total("", rows).tallies[ours.NAME].recall or 0.0
                tokens = total("", (r for r in rows if r.entity not in kinds.ASSIGNMENTS)).tallies[ours.NAME].recall
                said.append(f"recall of secrets over {LEAST_RECALL:.2f}: {recall:.3f}, {met(recall > LEAST_RECALL)}")
                said.append(
                    f"the same without assignments to names: {tokens or 0:.3f}, {met((tokens or 0) > LEAST_RECALL)}"
                )
                if self.quality.unfilled is not None:
                    real = self.quality.unfilled.tallies[ours.NAME].recall or 0.0
                    said.append(f"the same without rows of x: {real:.3f}, {met(real > LEAST_RECALL)}")
            elif any(PRESIDIO in row.tallies for row in rows):
                for other, which in ((PRESIDIO, "any score"), (SURE, "a score from 0.5 on")):
                    good = [row for row in rows if row.at_least(other)]
                    said.append(
                        f"{name}: recall of presidio ({which}) or better at no lower precision for {len(good)} of "
                        f"{len(rows)} entities, {met(len(good) == len(rows))}"
                    )
        for alarms in self.quality.alarms:
            for other in (SECRETS, FILES):
                if other in alarms.counts:
                    mine, its = alarms.per_mb(ours.NAME, secret_kinds()), alarms.per_mb(other, alarms.counts[other])
                    said.append(
                        f"{alarms.corpus}: {mine:,.1f} false alarms of secrets per MB, {other} {its:,.1f}; fewer than "
                        f"half: {met(mine < its * MOST_ALARMS or mine == its == 0)}"
                    )
        return said


def secret_kinds() -> frozenset[str]:
    """Our kinds of secrets."""
    return frozenset(kind for kind, family in ours.families().items() if family == "secret")


def _entity_table(rows: Sequence[Row]) -> Table:
    head = [
        "entity", "values", "recall", "exact", "covered", "precision",
        "presidio: recall", "precision", "from 0.5: recall", "precision", "aim",
    ]  # fmt: skip
    made = []
    for row in [*rows, total("all", rows)]:
        mine = row.tallies[ours.NAME]
        cells = [row.entity, str(mine.values), *_own(mine)]
        for other in (PRESIDIO, SURE):
            its = row.tallies.get(other, Tally())
            cells += [share(its.recall), share(its.precision)]
        made.append([*cells, met(row.at_least(PRESIDIO)) if PRESIDIO in row.tallies else ""])
    return head, made


def _bare_table(found: Sequence[Bare]) -> Table:
    head = [
        "found without context", "entities as good", "as from 0.5", "recall", "precision",
        *(f"per MB of {name}" for name in found[0].alarms),
    ]  # fmt: skip
    made = []
    for bare in found:
        mine = total("", bare.rows).tallies[ours.NAME]
        as_good = [
            f"{sum(row.at_least(other) for row in bare.rows)} of {len(bare.rows)}"
            if other in bare.rows[0].tallies
            else ""
            for other in (PRESIDIO, SURE)
        ]
        name = "as it is" if bare.score is None else f"from a score of {bare.score} on"
        rates = [f"{rate:,.1f}" for rate in bare.alarms.values()]
        made.append([name, *as_good, share(mine.recall), share(mine.precision), *rates])
    return head, made


def _secrets_table(rows: Sequence[Row]) -> Table:
    head = [
        "plugin", "secrets", "recall", "precision", "detect-secrets: recall", "precision", "aim",
    ]  # fmt: skip
    made = []
    for row in [*rows, total("all", rows)]:
        mine, its = row.tallies[ours.NAME], row.tallies.get(SECRETS, Tally())
        made.append([
            row.entity, str(mine.values), share(mine.recall), share(mine.precision), share(its.recall),
            share(its.precision), met((mine.recall or 0.0) > LEAST_RECALL),
        ])  # fmt: skip
    return head, made


def _totals_table(found: Sequence[Alarms]) -> Table:
    """Secrets of ours beside all of detect-secrets; of personal data what presidio looks for, too, without what is in
    clean text rightly (addresses of authors, hosts)."""
    head = [
        "findings per MB", "secrets", "detect-secrets", "as files", "identity, financial", "presidio", "from 0.5",
        "contact, network",
    ]  # fmt: skip
    families = ours.families()
    weighty = {name: e for name, e in kinds.ENTITIES.items() if {families.get(k) for k in e.kinds} & WEIGHTY}
    own = {kind for entity in weighty.values() for kind in entity.kinds}
    light = {kind for kind, family in families.items() if family in ("contact", "network")}
    rows = []
    for alarms in found:
        cells = [alarms.corpus, f"{alarms.per_mb(ours.NAME, secret_kinds()):,.1f}"]
        for other in (SECRETS, FILES):
            cells.append(_per_mb(alarms, other, alarms.counts.get(other, {})))
        cells.append(_per_mb(alarms, ours.NAME, own))
        cells += [_per_mb(alarms, other, weighty) for other in (PRESIDIO, SURE)]
        rows.append([*cells, _per_mb(alarms, ours.NAME, light)])
    return head, rows


def _alarms_table(found: Sequence[Alarms]) -> Table:
    """Personal data by entity, all clean texts together. Entities that share a kind of ours show the same findings."""
    head = ["findings per MB of clean text", "holdpoint", "presidio", "from 0.5"]
    megabytes = sum(alarms.bytes for alarms in found) / MB
    rows = []
    for name, entity in kinds.ENTITIES.items():
        counted = [
            [sum(alarms.counts[engine].get(kind, 0) for alarms in found for kind in wanted)]
            if engine in found[0].counts
            else []
            for engine, wanted in ((ours.NAME, entity.kinds), (PRESIDIO, (name,)), (SURE, (name,)))
        ]
        if any(map(sum, counted)):
            rows.append([name, *("".join(f"{count / megabytes:,.1f}" for count in each) for each in counted)])
    return head, rows


def _kinds_table(found: Sequence[Alarms]) -> Table:
    """Ours by kind."""
    head = ["findings of ours per MB", *(alarms.corpus for alarms in found)]
    seen = sorted({kind for alarms in found for kind in alarms.counts[ours.NAME]})
    return head, [[kind, *(_per_mb(alarms, ours.NAME, (kind,)) for alarms in found)] for kind in seen]


def _per_mb(alarms: Alarms, engine: str, wanted: Sequence[str] | Mapping[str, object] | set[str]) -> str:
    return f"{alarms.per_mb(engine, wanted):,.1f}" if engine in alarms.counts else ""


def _own(tally: Tally) -> list[str]:
    exact = tally.exact / tally.values if tally.values else None
    covered = tally.covered / tally.values if tally.values else None
    return [share(tally.recall), share(exact), share(covered), share(tally.precision)]
