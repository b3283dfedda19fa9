"""Asking the server of which types the columns of a binary COPY of a query are: nothing in its answer says it.

The server is asked in the same session, right before it copies. What it analyses it does not run.
"""

from extproc.domain.grant import Lane
from extproc.protocols.postgres.link import Link
from extproc.protocols.postgres.pipeline import Sent, Step
from extproc.protocols.postgres.sql.copying import copied
from extproc.protocols.postgres.wire.frontend import Close, Describe, Of, Parse
from extproc.protocols.postgres.work import Work

_OURS = "holdpoint copy"


def is_untyped(work: Work) -> bool:
    """Whether a COPY's values can't be masked before their types are known."""
    script, masks = work.script, work.grant.decision.masks
    copy = script.outer[0].copy if len(script.outer) == 1 else None
    if copy is None or not copy.answers or ("format", "binary") not in copy.options:
        return False
    return any(Lane.RESPONSE.value in mask.lanes for mask in masks)


def ask(link: Link, work: Work) -> bool:
    """Ask; False where there is no query to ask about. An error is the COPY's own: it is of this very query."""
    query = copied(work.sql)
    if query is None:
        return False
    # Closed before, too: what somebody else's session left at the other end of a pooler is in nobody's way.
    close = Close(Of.STATEMENT, _OURS).encode()
    for message, step in (
        (close, Step.CLOSE),
        (Parse(_OURS, query).encode(), Step.PARSE),
        (Describe(Of.STATEMENT, _OURS).encode(), Step.TYPES),
        (close, Step.CLOSE),
    ):
        link.ask(message, Sent(step, work, silent=True))
    return True
