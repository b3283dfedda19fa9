"""What a database defines beside PostgreSQL's own operators, functions and casts, by the names that a text has for it.

Which operator a name means is decided by the types of its operands, which a text does not tell. So a name counts as
PostgreSQL's own only where nobody has given it to other code ("Operator Type Resolution", "Value Storage").
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from extproc.protocols.postgres.sql.builtin import computes
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.effects import LATER
from extproc.protocols.postgres.sql.facts import Function, Statement
from extproc.protocols.postgres.sql.unary import is_unary

_NAMES: Final = """
!! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <>
<@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~
~>~ ~~ ~~*
"""
OPERATORS: Final = frozenset(_NAMES.split())
"""The names of all operators of PostgreSQL 14 to 18 (pg_operator): none of their functions is volatile."""

BETWEEN: Final = {
    "BETWEEN": (">=", "<="),
    "NOT BETWEEN": ("<", ">"),
    "BETWEEN SYMMETRIC": (">=", "<="),
    "NOT BETWEEN SYMMETRIC": ("<", ">"),
}
"""The operators that PostgreSQL's transformAExprBetween looks up for each form of BETWEEN."""


@dataclass(frozen=True)
class Custom:
    """Names with the schemas that have them, but for `harmless`: pairs of both.

    `operators`: of operators that may run any code. `harmless`: of operators of extensions that only compute.
    `functions`: of functions that may run any code, and have a name of PostgreSQL's own. `types`: of types that values
    are converted to by such a function, or checked by it. `relations`: of tables and views with columns of a type whose
    casts call such a function, and the types as (schema, name). `calls`: names of functions that take a row, so that
    `t.f` may be a call. `unary`: names of functions that one value of any type is enough for, so that `(x).f` may be a
    call. Without `told` the server did not say, so that any name may be that of any code. Without
    `settled` there may be more of all of them, which nobody can tell: what an operator or a cast gives may then be
    anything.
    """

    operators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    harmless: frozenset[tuple[str, str]] = frozenset()
    functions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    relations: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    calls: frozenset[str] = frozenset()
    unary: frozenset[str] = frozenset()
    told: bool = True
    settled: bool = True

    @cached_property
    def plain(self) -> frozenset[str]:
        """Operators that are PostgreSQL's own or harmless where no schema is written, and the forms of BETWEEN that
        look for no other."""
        if not (self.told and self.settled):
            return frozenset()
        names = (OPERATORS | {name for _, name in self.harmless}) - self.operators.keys()
        return names | {form for form, looked_up in BETWEEN.items() if names.issuperset(looked_up)}

    def operator(self, schema: str | None, name: str) -> tuple[Function, ...]:
        """The code that it may run, where it is not known to compute and do nothing else."""
        found = _in(self.operators, schema, name)
        if found:
            return found
        own = schema in (None, "pg_catalog") and name in OPERATORS
        harmless = any(one[1] == name and schema in (None, one[0]) for one in self.harmless)
        known = schema == "pg_catalog" or self.told
        return () if known and (own or harmless) else (Function(schema, name),)

    def function(self, schema: str | None, name: str) -> tuple[Function, ...]:
        """The code that a call of a function with a name of PostgreSQL's own may run."""
        found = _in(self.functions, schema, name) if self.functions else ()
        return found or ((Function(None, name),) if schema is None and not self.told else ())

    def type(self, schema: str | None, name: str) -> tuple[Function, ...]:
        """The code that runs where a value becomes one of this type."""
        return _in(self.types, schema, name)

    def applies(self, name: str) -> bool:
        """Whether `(x).name` may be a call of a function that is not known to compute and do nothing else."""
        return not (self.told and self.settled) or name in self.unary or is_unary(name)

    def relation(self, name: str) -> tuple[Function, ...]:
        """The code that may run wherever a value of a relation of this name is used as one of another type."""
        return tuple(Function(*one) for one in self.relations.get(name, ()))

    def defining(self, operators: Iterable[str], functions: Collection[str], types: Iterable[str]) -> "Custom":
        """The same with some that were just defined, in whatever schema."""
        return replace(
            self,
            operators={**self.operators, **_anywhere(operators)},
            functions={**self.functions, **_anywhere(name for name in functions if computes(None, name))},
            types={**self.types, **_anywhere(types)},
            unary=self.unary.union(functions),
        )

    def joined(self, more: "Custom") -> "Custom":
        """The same with what a session's own transaction has defined."""
        if more is PLAIN:
            return self
        return replace(
            self,
            operators={**self.operators, **more.operators},
            functions={**self.functions, **more.functions},
            types={**self.types, **more.types},
            unary=self.unary | more.unary,
            settled=self.settled and more.settled,
        )


PLAIN: Final = Custom()
"""A database with nothing of its own."""
UNTOLD: Final = Custom(told=False)
"""One that does not tell."""


def custom_of(rows: Sequence[Sequence[str | None]]) -> Custom:
    """From the answer to masks.question.Defined: rows of kind, schema, name and, of a relation, schema and name of a
    type. Raises ValueError for rows that are none."""
    found: dict[str, dict[str, dict[str, None]]] = {kind: {} for kind in "ohftcu"}
    relations: dict[str, dict[tuple[str, str], None]] = {}
    for row in rows:
        kind, schema, name, type_schema, type_name = row
        if kind is None or schema is None or name is None:
            raise ValueError
        if kind == "r":
            relations.setdefault(name, {})[(type_schema or "", type_name or "")] = None
        elif kind in found:
            found[kind].setdefault(name, {})[schema] = None
        else:
            raise ValueError
    operators, functions, types = ({name: tuple(schemas) for name, schemas in found[kind].items()} for kind in "oft")
    return Custom(
        operators,
        frozenset((schema, name) for name, schemas in found["h"].items() for schema in schemas),
        functions,
        types,
        {name: tuple(types_of) for name, types_of in relations.items()},
        frozenset(found["c"]),
        frozenset(found["u"]),
    )


def _in(names: Mapping[str, tuple[str, ...]], schema: str | None, name: str) -> tuple[Function, ...]:
    """Those with this name, in a schema that may be meant; one of which that is not known stands in any."""
    schemas = names.get(name, ())
    return tuple(Function(one or schema, name) for one in schemas if not one or schema in (None, one))


def _anywhere(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """These names, in whatever schema."""
    return dict.fromkeys(names, ("",))


_ROUTINES: Final = frozenset({"function", "procedure", "routine", "aggregate"})
_TYPES: Final = frozenset({"domain", "type"})
_MANY: Final = frozenset({"extension", "cast", "opclass", "opfamily"})
"""What brings names of any code with it that no text shows."""
_LATER: Final = LATER | _ROUTINES | {"view", "rule", "policy"}
"""What runs none of its code by being made."""
_INSIDE: Final = frozenset({"function", "view", "rule", "prepare", "explain"})
_RUNS_ANY: Final = frozenset({"dynamic-sql", "function-body", "prepared-statement", "node"})
"""What may define anything in the midst of a transaction. So may a function that is called, but what that does is not
followed anywhere else either, and most define nothing."""


def defined(custom: Custom, statements: Iterable[Draft | Statement]) -> Custom:
    """What a database defines once these have run, as far as their facts tell."""
    operators: list[str] = []
    functions: list[str] = []
    types: list[str] = []
    settled = True
    for one in statements:
        if one.within in _INSIDE:
            continue
        objects = list(one.objects)
        defines = one.kind in ("create", "alter")
        settled = settled and (
            _RUNS_ANY.isdisjoint(one.unknown) or bool(defines and objects and objects[0].type in _LATER)
        )
        for thing in objects if defines else ():
            operators += [thing.name] if thing.type == "operator" else []
            functions += [thing.name] if thing.type in _ROUTINES else []
            types += [thing.name] if thing.type == "domain" else []
            renamed = thing.type in _ROUTINES | _TYPES and "rename" in one.action
            settled = settled and not renamed and thing.type not in _MANY
    if operators or functions or types:
        custom = custom.defining(operators, functions, types)
    return custom if settled or not custom.settled else replace(custom, settled=False)
