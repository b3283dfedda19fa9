"""What a stage is built from: what is looked for, and what is done with what is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from extproc.domain.mask import Operator
from extproc.masking.engine.engine import Detector, Engine
from extproc.masking.engine.fingerprint import NONE, Fingerprints
from extproc.masking.operators import Cover, cover

_NO_OPERATORS: Mapping[str, Operator] = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Knowledge:
    """What can be found at all: the rules, compiled, and the credentials that are known by fingerprint. `hash_key`
    keys the hash operator (32 bytes; empty where there is none). Compared by identity: make one, and keep it."""

    engine: Engine
    credentials: Fingerprints = NONE
    hash_key: bytes = field(default=b"", repr=False)

    def detector(self, kinds: frozenset[str] | None = None) -> Detector:
        """A shared view for these kinds (None: all), and for the credentials. Raises ValueError for an unknown kind."""
        return self.engine.detector(kinds, known=self.credentials)

    def without_credentials(self) -> "Knowledge":
        """The same, blind to credentials."""
        return without(self) if self.credentials else self


@lru_cache(maxsize=8)
def without(knowledge: Knowledge) -> Knowledge:
    """See Knowledge.without_credentials. Shared."""
    return Knowledge(knowledge.engine, NONE, knowledge.hash_key)


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """`detector` finds values; `keys` are names (members, form fields, columns, elements) under which everything is
    masked, as policy wrote them; `operators` are those of kinds that are not redacted, of a key as `key:<name>` in
    lower case. `lenient`: what is malformed is masked as text from there on, instead of stopped. `alike`: what stands
    under a masked name in JSON is redacted to the same text, whether it is null, empty, a number or anything else."""

    detector: Detector
    keys: frozenset[str] = frozenset()
    operators: Mapping[str, Operator] = field(default_factory=lambda: _NO_OPERATORS)  # 3.11 takes it for mutable
    hash_key: bytes = field(default=b"", repr=False)
    lenient: bool = False
    alike: bool = False

    def operator(self, kind: str) -> Operator:
        """What is done with values of a kind (`card`, `key:ssn`)."""
        return self.operators.get(kind, Operator.REDACT)

    def cover(self, kind: str) -> Cover:
        """What stands in the place of one value of this kind."""
        return cover(self.operator(kind), kind, self.hash_key)

    @property
    def drops(self) -> bool:
        """Whether fields may be left out."""
        return Operator.DROP in self.operators.values()

    def in_text(self) -> "Plan":
        """The plan for text without structure: there, keys are found as part of it."""
        if not self.keys:
            return self
        detector = self.detector.with_keys(frozenset(key.lower() for key in self.keys))
        return Plan(detector, frozenset(), self.operators, self.hash_key, self.lenient, self.alike)
