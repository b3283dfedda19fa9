"""Which objects DDL is about: the names in the tree's many forms, as words and names of facts."""

from typing import Any, Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.names import parts, relation_name, texts
from extproc.protocols.postgres.sql.tree import Node

_WORDS: Final = {
    "fdw": "foreign_data_wrapper",
    "foreign_server": "server",
    "matview": "materialized_view",
    "tabconstraint": "constraint",
    "domconstraint": "constraint",
    "parameter_acl": "parameter",
    "largeobject": "large_object",
    "statistic_ext": "statistics",
}
_OF_A_TABLE: Final = frozenset({"trigger", "rule", "policy", "constraint"})
_OF_A_METHOD: Final = frozenset({"opclass", "opfamily"})


def type_of(word: str) -> str:
    """OBJECT_TABLE → table."""
    plain = word.removeprefix("OBJECT_").lower()
    return _WORDS.get(plain, plain)


def role_name(spec: Node) -> str:
    """The name in a RoleSpec without its tag: a role's, or `public`, `current_user`, …"""
    kind: str = spec.get("roletype", "ROLESPEC_CSTRING")
    return spec.get("rolename", "") if kind == "ROLESPEC_CSTRING" else kind.removeprefix("ROLESPEC_").lower()


def about(draft: Draft, type_: str, node: Any) -> None:
    """Adds an object that is named by a node with or without its tag, a list of Strings, or a text."""
    if isinstance(node, str):
        draft.about(type_, None, node)
    elif isinstance(node, list):
        _listed(draft, type_, node)
    elif "relname" in node:
        draft.about(type_, *relation_name(node))
    elif "roletype" in node:
        draft.about("role", None, role_name(node))
    elif "objname" in node or "names" in node:
        draft.about(type_, *parts(node.get("objname") or node["names"]))
    else:
        tag, body = only(node)
        if tag == "String":
            draft.about(type_, None, text(node))
        elif tag == "List":
            _listed(draft, type_, body.get("items", []))
        elif tag in ("RangeVar", "RoleSpec", "ObjectWithArgs", "TypeName"):
            about(draft, type_, body)
        elif tag == "Float" or tag == "Integer":
            draft.about(type_, None, str(body.get("fval", body.get("ival", 0))))
        else:
            draft.doubt("node")


def _listed(draft: Draft, type_: str, items: list[Node]) -> None:
    types = [parts(only(one)[1]["names"])[1] for one in items if "TypeName" in one]
    names = texts([one for one in items if "String" in one])
    if types:
        # A cast, a transform, or the constraint of a domain.
        draft.about(type_, None, " ".join([*types, *names]))
    elif type_ in ("column", "attribute") and len(names) > 1:
        draft.about(type_, names[-3] if len(names) > 2 else None, f"{names[-2]}.{names[-1]}")
    elif type_ in _OF_A_TABLE and len(names) > 1:
        schema = names[-3] if len(names) > 2 else None
        draft.about(type_, schema, names[-1])
        draft.about("table", schema, names[-2])
    elif names:
        draft.about(type_, *parts(items[1:] if type_ in _OF_A_METHOD and len(names) > 1 else items))


def words(options: list[Node]) -> list[str]:
    """The names of a list of DefElem nodes; `no` in front of those that are false."""
    found = []
    for option in options:
        _, body = only(option)
        said: str = body["defname"]
        name = _OPTIONS.get(said, said)
        off = "Boolean" in body.get("arg", {}) and not body["arg"]["Boolean"].get("boolval")
        found.append(f"no{name}" if off else name)
    return found


_OPTIONS: Final = {"isreplication": "replication", "canlogin": "login", "addroleto": "in_role", "rolemembers": "role"}


def is_on(options: list[Node], name: str) -> bool:
    """True when an option may be on: it is there, and not plainly off each time."""
    said = [only(option)[1].get("arg") for option in options if only(option)[1]["defname"] == name]
    return any(_may_be_on(arg) for arg in said)


def _may_be_on(arg: Node | None) -> bool:
    if arg is None:
        return True
    tag, body = only(arg)
    if tag == "Integer":
        return bool(body.get("ival", 0))
    if tag == "Boolean":
        return bool(body.get("boolval"))
    return tag != "String" or text(arg).lower() not in ("false", "off", "0")
