"""One thing asked for, whatever the protocol."""

from collections.abc import Callable
from dataclasses import dataclass

from extproc.domain.json import JSON, Document
from extproc.domain.mask import Mask
from extproc.domain.target import Protocol


class Unrenderable(Exception):
    """Nobody can be shown what would go on, so nobody can approve it. The message says why and quotes no payload."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a principal asks of a target.

    `verb` and `resource` are the protocol's own words (`DELETE`, `/customers/7`). `facts` is what policy may read
    beside them; it may hold payload, so it never goes to a record: `summary` does, already masked. `render` gives
    the text of what would go on under these masks, in full, and is called only when a person must look at it; it
    raises Unrenderable.
    `digest` is the keyed hash (hex) over everything that will be forwarded; a hold binds to it. `masked`, where there
    is more to hide once policy has said what it governs, gives the summary under these masks.
    `settled`: None where the action depends on nothing but itself. Else it depends on the state of something else that
    `digest` binds, too: True once that was looked at, False while it was not. No hold is opened for the latter; for
    the former it is looked at once more when an approval comes.
    """

    protocol: Protocol
    verb: str
    resource: str
    facts: Document
    summary: Document
    render: Callable[[tuple[Mask, ...]], str]
    digest: str
    masked: Callable[[tuple[Mask, ...]], Document] | None = None
    settled: bool | None = None

    def summary_under(self, masks: tuple[Mask, ...]) -> Document:
        """The summary for the record of a decision with these masks."""
        return self.summary if self.masked is None or not masks else self.masked(masks)

    def document(self) -> dict[str, JSON]:
        """The shape that policy input carries."""
        return {
            "protocol": self.protocol.value,
            "verb": self.verb,
            "resource": self.resource,
            "facts": self.facts,
            "digest": self.digest,
        }
