"""What is recorded of a message's head: headers that tell what a body is and who speaks, none that can be a secret."""

from collections.abc import Container, Iterable, Mapping, Sequence

from extproc.domain.json import JSON
from extproc.domain.target import Protocol

VALUE_CHARACTERS = 256
_MOST = 32
RECORDED = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "age", "allow", "cache-control", "content-disposition"),
        *("content-encoding", "content-language", "content-length", "content-range", "content-type", "date", "expires"),
        *("last-modified", "openai-processing-ms", "openai-version", "prefer", "preference-applied", "range"),
        *("retry-after", "server", "user-agent", "vary", "x-request-id", "x-ratelimit-limit-requests"),
        *("x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"),
    }
)
"""Names that are recorded. Whatever is not here stays out: a header that nobody knows may be a credential."""

POSTGRES = "application/vnd.postgresql"
"""The type of a body that is messages of PostgreSQL's protocol, as they went on in one direction under one Grant."""
TYPES: Mapping[str, str] = {Protocol.POSTGRES: POSTGRES}
"""The types of bodies that have no head to say theirs, by protocol."""


def as_sent(
    headers: Iterable[tuple[str, str]], changed: Sequence[tuple[str, str]], removed: Container[str]
) -> list[tuple[str, str]]:
    """The recorded headers of a head as it goes on: those changed with their new values, those removed left out.

    Names are lower case."""
    replaced = {name for name, _ in changed}
    kept = [(n, v) for n, v in headers if n in RECORDED and n not in replaced and n not in removed]
    return kept + [(n, v) for n, v in changed if n in RECORDED]


def document(headers: Iterable[tuple[str, str]]) -> JSON:
    """The shape that delivery records carry."""
    return [[name, value[:VALUE_CHARACTERS]] for name, value in headers][:_MOST]
