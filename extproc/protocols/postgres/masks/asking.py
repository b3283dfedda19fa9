"""Which columns of a result a mask names."""

from collections.abc import Sequence

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING
from extproc.masking.plan import Plan
from extproc.masking.structure.names import NOT_ASKED, Asked
from extproc.protocols.postgres.masks.whole import COLUMN
from extproc.protocols.postgres.sql import Column, Member, Origins, whole

ANYTHING = "*"
"""As a column's name: any column of the table."""

# Columns of pg_statistic, pg_stats, pg_statistic_ext_data, pg_stats_ext and pg_stats_ext_exprs ("System Views") that
# have values of whatever column.
_SAMPLES = frozenset({
    "stavalues1", "stavalues2", "stavalues3", "stavalues4", "stavalues5", "most_common_vals", "most_common_elems",
    "histogram_bounds", "range_bounds_histogram", "stxdmcv", "stxdexpr",
})  # fmt: skip


def asked(plan: Plan, label: str, origins: Origins) -> Asked:
    """What is asked for of a column with this label, whose values come from these columns: `kind` where a mask names it
    (`key:<name>`, or COLUMN where nobody knows where it comes from), else the rules for which its names are context.
    Names are compared in any case; what of an origin is not known, might be anything."""
    for key in sorted(plan.keys):
        if _is(key, label, origins):
            return Asked(f"key:{key.lower()}")
    if plan.keys and (origins is None or any(one.name in _SAMPLES or _is_inside(one) for one in origins)):
        return Asked(COLUMN)
    names = {label, *(one.name for one in origins or () if one.name not in ("", ANYTHING))}
    named = NOTHING.union(*(plan.detector.named(name) for name in names))
    return Asked(None, named) if named else NOT_ASKED


def operator(plan: Plan, kind: str, origins: Origins) -> Operator:
    """What is done with values under a kind that `asked` gave. For a column of unknown origin it is the strictest of
    those for any key. Redacting at least where something was made of the values: the last four characters, the length
    or the hash of a part tell of the rest."""
    if kind != COLUMN:
        changed = any(isinstance(one, Member) and one.name == "" for one in origins or ())
        return plan.operator(kind).strictest(Operator.REDACT) if changed else plan.operator(kind)
    strictest = Operator.REDACT
    for key in plan.keys:
        strictest = strictest.strictest(plan.operator(f"key:{key.lower()}"))
    return strictest


def _is(key: str, label: str, origins: Origins) -> bool:
    folded = key.casefold()
    if folded == label.casefold():
        return True
    # A name may have dots itself, so each way to read the key counts.
    wanted = folded.split(".")
    ways = [(wanted[:at], ".".join(wanted[at:])) for at in range(min(3, len(wanted)))]
    return any(_meets(where, name, one) for one in origins or () for where, name in ways)


def _is_inside(origin: Column) -> bool:
    """Whether it is something of a document, nobody knows what."""
    return isinstance(origin, Member) and origin.name == ANYTHING


def _meets(where: Sequence[str], name: str, origin: Column) -> bool:
    column = whole(origin).name
    if "." in name if column == ANYTHING else name not in (column.casefold(), origin.name.casefold()):
        return False
    have = (origin.schema, origin.table)
    return all(
        known is None or known.casefold() == word for known, word in zip(reversed(have), reversed(where), strict=False)
    )
