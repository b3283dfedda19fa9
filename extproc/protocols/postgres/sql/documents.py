"""What expressions read of documents, and where code of the database's own takes part in that."""

from typing import Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.custom import BETWEEN, PLAIN, Custom
from extproc.protocols.postgres.sql.draft import COMPARED, DECIDING, SCALAR, Draft
from extproc.protocols.postgres.sql.facts import Function
from extproc.protocols.postgres.sql.members import Access, access, inside, members
from extproc.protocols.postgres.sql.names import parts, texts
from extproc.protocols.postgres.sql.script import Origins
from extproc.protocols.postgres.sql.tree import Node
from extproc.protocols.postgres.sql.walk import Walk

EQUAL: Final = [{"String": {"sval": "="}}]
"""What IN, CASE x WHEN, USING and NATURAL compare by."""


class OwnCode:
    """Tells PostgreSQL's own operators, functions and types from the database's. `custom` is what the database has."""

    custom: Custom = PLAIN

    def operates(self, draft: Draft, names: list[Node]) -> bool:
        """Whether what an operator gives may be anything: by its name in a list of String nodes, or a form of BETWEEN.
        What code it may run is among the facts then."""
        if len(names) == 1 and text(names[0]) in self.custom.plain:
            return False
        schema, name = parts(names)
        found = [self.custom.operator(schema, one) for one in BETWEEN.get(name, (name,))]
        return self.own(draft, *found) or not self.custom.settled

    def converts(self, draft: Draft, type_name: Node) -> bool:
        """Whether it may run any code to make a value one of this type, a TypeName without its tag."""
        if self.custom.settled and not self.custom.types:
            return False
        schema, name = parts(type_name.get("names", []))
        return self.own(draft, self.custom.type(schema, name)) or (not self.custom.settled and schema != "pg_catalog")

    def own(self, draft: Draft, *found: tuple[Function, ...]) -> bool:
        """Whether code of the database's own may run, which is among the facts then."""
        if not any(found):
            return False
        draft.functions.update(dict.fromkeys(one for each in found for one in each))
        draft.doubt("function")
        return True


class Documents(OwnCode):
    """Reads members of documents into the facts of the statement that they are in."""

    def member(self, walk: Walk, found: Access, place: str, flows: bool, scalar: bool = False) -> bool:
        """Reads a member of a document in a column; false where it is in anything else. With `scalar` only a member
        that is no document itself decides anything."""
        origins = self.document(walk, found.document)
        if origins is None or any(self._is_own(walk.draft, step) for step in found.steps):
            return False
        reached = members(origins[0], found.keys)
        within = inside(origins[0])
        if scalar and place in (DECIDING, COMPARED):
            place = SCALAR
        for key in found.keys or ["*"]:
            walk.draft.add(place, reached, key)
        if flows:
            walk.flow(reached)
        if place != "read" and not scalar:
            walk.draft.add(place, within, "*")
            if flows:
                walk.flow(within)
        return True

    def document(self, walk: Walk, node: Node) -> tuple[Origins] | None:
        """What a column that holds a document is made of, in a tuple; None for what is no column."""
        tag, body = only(node)
        if tag != "ColumnRef" or any("String" not in one for one in body["fields"]):
            return None
        names = texts(body["fields"])
        schema = names[-3] if len(names) > 2 else None
        if len(names) == 1:
            return None if walk.scope.is_row(names[0]) else (walk.scope.column(names[0]),)
        if walk.scope.calls(schema, names[-2], names[-1]):
            return None
        return (walk.scope.qualified(schema, names[-2], names[-1]),)

    def scalar(self, walk: Walk, node: Node | None, place: str, flows: bool) -> bool:
        """Reads a member of a document that is compared with, or cast to, what is no document: of one that is, nothing
        shows. False for anything else."""
        found = access(node) if node is not None else None
        return found is not None and self.member(walk, found, place, flows, scalar=True)

    def _is_own(self, draft: Draft, step: Node) -> bool:
        """Whether a node that reads a member may be an operator, a function or a cast of the database's own."""
        tag, body = only(step)
        if tag == "A_Expr":
            return self.operates(draft, body["name"])
        if tag == "FuncCall":
            return self.own(draft, self.custom.function(*parts(body["funcname"])))
        return tag == "TypeCast" and self.converts(draft, body["typeName"])
