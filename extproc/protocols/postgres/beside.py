"""Statements of the gateway's own beside the client's: by the extended protocol, under names that no client has.

A Query would make the server forget the client's unnamed statement and portal ("Message Flow", Extended Query); these
leave them as they are. With a Sync only where it does no harm: between transactions, or in one that a
BEGIN opened.
"""

from extproc.protocols.postgres.wire.frontend import Bind, Close, Execute, Flush, Of, Parse, Sync

_OURS = "holdpoint beside"


def closes(texts: int) -> int:
    """Number of CloseComplete messages that answer this number of texts."""
    return 2 * texts + 2


def beside(*texts: str, sync: bool = True) -> bytes:
    """What runs these, each a single statement without parameters. It is answered by one ReadyForQuery; without `sync`
    it is a part of the client's own pipeline, and the last answer is a CloseComplete."""
    closed = Close(Of.PORTAL, _OURS).encode() + Close(Of.STATEMENT, _OURS).encode()
    # Closed before, too: what somebody else's session left at the other end of a pooler is in nobody's way.
    runs = [
        closed + Parse(_OURS, text).encode() + Bind(_OURS, _OURS).encode() + Execute(_OURS).encode() for text in texts
    ]
    return b"".join([*runs, closed, (Sync() if sync else Flush()).encode()])
