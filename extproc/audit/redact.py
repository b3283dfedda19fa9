"""Values that are known and must never be written, whatever shape a detector looks for. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from extproc.domain.json import JSON, Document

MASK = "[masked:known]"
SHORTEST = 6
"""Characters; a shorter value would be found by chance everywhere."""


def known_values(
    values: Iterable[str], then: Callable[[Document], Document] = lambda body: body
) -> Callable[[Document], Document]:
    """A redactor for FileJournal that takes out these exact values wherever they stand in a string or a member name,
    then hands the document on. Raises ValueError for a value of fewer than SHORTEST characters."""
    secrets = tuple(sorted(set(values), key=len, reverse=True))
    if any(len(secret) < SHORTEST for secret in secrets):
        raise ValueError(f"a known value is shorter than {SHORTEST} characters")

    def text(value: str) -> str:
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, MASK)
        return value

    def clean(value: JSON) -> JSON:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, Mapping):
            return {text(name): clean(member) for name, member in value.items()}
        if isinstance(value, Sequence):
            return [clean(item) for item in value]
        return value

    return lambda body: then(cast(Document, clean(body)) if secrets else body)
