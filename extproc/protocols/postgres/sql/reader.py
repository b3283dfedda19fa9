"""The way in: text of SQL to facts, with what was read before kept."""

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from extproc.protocols.postgres.sql.custom import PLAIN, Custom, defined
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import TOO_COMPLEX, Unparsable
from extproc.protocols.postgres.sql.script import Output, Script
from extproc.protocols.postgres.sql.statements import Statements
from extproc.protocols.postgres.sql.tree import Node, parse

_NONE: Final[Mapping[str, Script]] = MappingProxyType({})
_EMPTY: Final = Script((Draft("empty").finish(None),), ())
UNEXPECTED: Final = "the parser gave a tree of an unexpected form"
_KEPT_CHARACTERS: Final = 65_536
"""Longer texts are not kept: they hardly come twice, and would be the greater part of what is kept."""


def read(
    sql: str,
    prepared: Mapping[str, Script] = _NONE,
    cursors: Mapping[str, Script] = _NONE,
    custom: Custom = PLAIN,
) -> Script:
    """Facts of a text. `prepared` and `cursors` are those of the session by name, for EXECUTE and FETCH; `custom` is
    what the database defines itself.

    Raises Unparsable where PostgreSQL's parser refuses it, and where it is more work than a text may be.
    """
    return _read(sql, prepared, cursors, custom)[0]


def _read(
    sql: str, prepared: Mapping[str, Script], cursors: Mapping[str, Script], custom: Custom
) -> tuple[Script, bool]:
    """The facts, and whether they are the text's alone."""
    nodes = parse(sql)
    if not nodes:
        return _EMPTY, True
    reading = Statements(prepared, cursors, custom)
    try:
        results = tuple([_next(reading, node) for node in nodes])
    except RecursionError:
        # The bounds are for a caller that has used little of the stack; this is for all others.
        raise Unparsable("nested too deeply", state=TOO_COMPLEX) from None
    except (LookupError, TypeError, AttributeError) as error:
        # Who writes the text chooses the tree; one of a form that is not known here is refused, not guessed at.
        raise Unparsable(UNEXPECTED) from error
    script = Script(
        tuple([draft.finish(draft.within) for draft in reading.drafts]),
        results,
        MappingProxyType({name: one for name, one in reading.new_prepared.items() if one is not None}),
        MappingProxyType({name: one for name, one in reading.new_cursors.items() if one is not None}),
    )
    return (script.calling(custom.calls) if custom.calls else script), not reading.looked


def _next(reading: Statements, node: Node) -> tuple[Output, ...] | None:
    """The next statement of a text, which is run with what those before it have defined."""
    before = len(reading.drafts)
    outputs = reading.statement(node)
    reading.custom = defined(reading.custom, reading.drafts[before:])
    return outputs


class Reader:
    """`read` with the last `size` texts kept. Not for several threads at once. `custom` is what the database that they
    are for defines itself."""

    def __init__(self, size: int) -> None:
        self.custom = PLAIN
        self._size = size
        self._kept: OrderedDict[str, tuple[Custom, Script]] = OrderedDict()

    def read(self, sql: str, prepared: Mapping[str, Script] = _NONE, cursors: Mapping[str, Script] = _NONE) -> Script:
        """As `read`. What depends on `prepared` or `cursors` is read anew each time."""
        kept = self._kept.get(sql)
        if kept is not None and kept[0] is self.custom:
            self._kept.move_to_end(sql)
            return kept[1]
        script, alone = _read(sql, prepared, cursors, self.custom)
        if alone and len(sql) <= _KEPT_CHARACTERS:
            self._kept[sql] = self.custom, script
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return script
