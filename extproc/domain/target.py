"""Where an action goes: a named upstream. The credential is not here; only Envoy reads it."""

from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.decision import Recording
from extproc.domain.json import JSON


class Protocol(StrEnum):
    """The protocols a target may speak."""

    HTTP = "http"
    TUNNEL = "tunnel"
    POSTGRES = "postgres"


class Inspect(StrEnum):
    """How much of a body the processor sees.

    FULL: request bodies are read up to the limit before the decision; responses stream through the masks. Of databases,
    what is limited is a statement with its values.
    STREAM: the decision reads headers only; bodies of any size stream through the masks.
    HEADERS: the decision reads headers only; bodies never come to the processor and can't be masked.
    OPAQUE: a tunnel whose bytes nobody reads; destination, amount and time are decided and recorded.
    """

    FULL = "full"
    STREAM = "stream"
    HEADERS = "headers"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that agents may ask for by name. `inspect_bytes` counts only for Inspect.FULL; `wait_seconds`
    is how long a held request waits in the open before it is answered 202. `revision` changes with anything that its
    configuration says of it (upstream, credential, inspection): an approval of one does not count for the other.
    `record` is the most that is kept of its bodies, `head_bytes` how much a body's head is; `index` says whether their
    words can be searched for."""

    name: str
    protocol: Protocol
    environment: str
    inspect: Inspect = Inspect.FULL
    inspect_bytes: int = 1 << 20
    wait_seconds: float = 30.0
    revision: str = ""
    record: Recording = Recording.METADATA
    head_bytes: int = 64 << 10
    index: bool = False

    def document(self) -> dict[str, JSON]:
        """The shape that policy input and records carry."""
        return {"name": self.name, "protocol": self.protocol.value, "environment": self.environment}


NOWHERE = Target("-", Protocol.HTTP, "")
"""What records name where a request leads to no target; no configuration can call one so."""
