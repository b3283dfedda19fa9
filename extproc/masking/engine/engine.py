"""All rules, compiled once; and views of them, one for each selection that a policy makes.

The gate says which rules may have a match in some bytes, for all rules in one pass. A rule that is found in context
only is gated by its words: where none of them occurs, it costs nothing. What a view finds does not depend on which
other kinds it selects, for each rule finds its own values.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from extproc.masking.engine.context import FieldNames
from extproc.masking.engine.credentials import CredentialSearch
from extproc.masking.engine.escapes import Text
from extproc.masking.engine.finder import Finder
from extproc.masking.engine.fingerprint import CREDENTIAL, NONE, Fingerprints
from extproc.masking.engine.gate import Gate
from extproc.masking.rules.model import Family, Rule
from extproc.masking.rules.text import in_text


class Engine:
    """Rules, compiled; make one and keep it. Raises ValueError for a rule that RE2 refuses."""

    __slots__ = ("rules", "kinds", "gate", "families", "search", "_names", "_views")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.gate = Gate(tuple(Finder(rule) for rule in self.rules))
        self.families: Mapping[str, Family] = {rule.kind: rule.family for rule in self.rules}
        self.kinds = frozenset(self.families)
        """Every kind that a rule has."""
        self._names = FieldNames(self.rules)
        # Compiled once for all views: it takes some 25 ms.
        self.search = lru_cache(maxsize=4)(CredentialSearch)
        self._views = lru_cache(maxsize=64)(self._view)

    def detector(
        self, kinds: frozenset[str] | None = None, keys: frozenset[str] = frozenset(), known: Fingerprints = NONE
    ) -> "Detector":
        """A shared view for these kinds (None: all of them), for `key=value` in text with these keys, and for the
        credentials that `known` has. Raises ValueError for an unknown kind."""
        return self._views(self.kinds if kinds is None else kinds, keys, known)

    def named(self, name: str) -> frozenset[int]:
        """Indexes of the rules for which a field's name is context."""
        return self._names.of(name)

    def _view(self, kinds: frozenset[str], keys: frozenset[str], known: Fingerprints) -> "Detector":
        if unknown := kinds - self.kinds:
            raise ValueError(f"unknown kinds of value: {sorted(unknown)}; known are {sorted(self.kinds)}")
        return Detector(self, kinds, keys, known)


class Detector:
    """What is looked for: a view of an engine, shared by all streams (it has no state). `finders` are the engine's,
    then those of keys in text; `credentials` is the index that stands for what fingerprints find."""

    __slots__ = (
        "engine",
        "finders",
        "kinds",
        "search",
        "credentials",
        "_wanted",
        "_keys",
        "_own",
        "_blind",
        "_known",
    )

    def __init__(self, engine: Engine, kinds: frozenset[str], keys: frozenset[str], known: Fingerprints) -> None:
        self.engine = engine
        self.kinds = kinds
        self._known = known
        self._own = len(engine.rules)
        self._keys = Gate(tuple(Finder(in_text(key)) for key in sorted(keys)))
        self.finders = engine.gate.finders + self._keys.finders
        self.credentials = len(self.finders)
        self._wanted = frozenset(i for i, rule in enumerate(engine.rules) if rule.kind in kinds)
        self.search = engine.search(known) if known else None
        self._blind = not self._wanted

    @property
    def rules(self) -> list[Rule]:
        """Those of the engine's that are looked for."""
        return [self.engine.rules[index] for index in sorted(self._wanted)]

    @property
    def any(self) -> bool:
        """Whether anything at all is looked for."""
        return bool(self._wanted or self._keys.finders or self.search is not None)

    def texts(self, data: bytes, at: int, end: int, final: bool) -> list[Text]:
        """data[at:end] in the readings that credentials are looked for in; none where none are looked for."""
        return [] if self.search is None else self.search.texts(data, at, end, final)

    def opens(self, data: bytes, texts: list[Text] | None = None) -> list[int]:
        """Indexes of the finders that may have a match in the data, `credentials` among them; the data begins with
        what stands before the text, or at a boundary. `texts` are those of the data, where there are any yet."""
        found = [] if self._blind else [i for i in self.engine.gate.opens(data) if i in self._wanted]
        if self._keys.finders:
            found += [self._own + i for i in self._keys.opens(data)]
        if self.search is not None and self.search.opens(texts or self.search.texts(data, 0, len(data), True)):
            found.append(self.credentials)
        return found

    def hold(self, data: bytes, at: int, active: Iterable[int], texts: list[Text]) -> int:
        """The first offset from `at` on from which a match may still be unfinished at the end of the data; `active` as
        `opens` said of the same data, and `named` of its name; `texts` are those of the data from `at` on."""
        hold = len(data) if self._blind else self.engine.gate.hold(data, at, [i for i in active if i < self._own])
        if self._keys.finders:
            hold = min(hold, self._keys.hold(data, at, ()))
        return hold if self.search is None else self.search.hold(texts, hold, len(data))

    def named(self, name: str) -> frozenset[int]:
        """Indexes of the finders for which a field's name (a member, a column, an element) is context."""
        found = self.engine.named(name)
        return found & self._wanted if found else found

    def with_keys(self, keys: frozenset[str]) -> "Detector":
        """The same, and the values of these names in text."""
        return self.engine.detector(self.kinds, keys, self._known)

    def kind(self, index: int) -> str:
        """What a finder's values are called."""
        return CREDENTIAL if index == self.credentials else self.finders[index].kind
