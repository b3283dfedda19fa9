"""JSON Lines of a session: every record, one a line, with its place in the chain."""

from collections.abc import Iterator

import orjson

from extproc.audit.export.exchange import Session


def lines(session: Session) -> Iterator[bytes]:
    """A line for each record: its members, and `digest` and `hash`. A record that two exchanges share comes once."""
    seen: set[tuple[str, int]] = set()
    for record in session.records():
        if (record.stream, record.seq) in seen:
            continue
        seen.add((record.stream, record.seq))
        document = {
            "stream": record.stream,
            "seq": record.seq,
            "kind": record.kind,
            "at": record.at,
            "hash": record.hash,
            "digest": record.digest,
            "prev": record.prev,
            "body": record.body,
        }
        yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
