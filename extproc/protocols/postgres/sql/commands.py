"""The session's own commands and those about objects as a whole: SET, transactions, GRANT, VACUUM, COMMENT, …"""

import re
from collections.abc import Callable
from typing import Any, Final

from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import Privileges, Setting
from extproc.protocols.postgres.sql.objects import about, role_name, type_of, words
from extproc.protocols.postgres.sql.tree import Node

_TRANSACTION: Final = {
    "BEGIN": "begin",
    "START": "begin",
    "COMMIT": "commit",
    "ROLLBACK": "rollback",
    "SAVEPOINT": "savepoint",
    "RELEASE": "release",
    "ROLLBACK_TO": "rollback",
    "PREPARE": "other",
    "COMMIT_PREPARED": "commit",
    "ROLLBACK_PREPARED": "rollback",
}


_LISTS: Final = frozenset({"search_path", "temp_tablespaces"})
"""Settings whose value is a list of names, so that `'a, b'` in SET is one."""


def command(tag: str, body: Node) -> Draft | None:
    """The facts of one of these; None where it is none of them."""
    reads = _COMMANDS.get(tag)
    if reads is None:
        return None
    kind, fill = reads
    draft = Draft(kind)
    fill(draft, body)
    return draft


def set_values(draft: Draft, body: Node) -> None:
    """SET and RESET: a VariableSetStmt."""
    kind, name, local = body["kind"], body.get("name", ""), "is_local" in body
    if kind == "VAR_RESET_ALL":
        draft.settings.append(Setting("all", None, False))
    elif kind == "VAR_SET_MULTI":
        _modes(draft, name, body.get("args", []))
    else:
        values = [_constant(one) for one in body.get("args", [])] if kind == "VAR_SET_VALUE" else []
        if name.lower() in _LISTS:
            values = [value and quoted(value) for value in values]
        said = ", ".join(value for value in values if value is not None)
        draft.settings.append(Setting(name.lower(), said if values and None not in values else None, local))
    if kind in ("VAR_RESET", "VAR_RESET_ALL"):
        draft.kind = "reset"


def quoted(name: str) -> str:
    """A name as it is written: in quotes where it is not a plain word in lower case."""
    return name if re.fullmatch("[a-z_][a-z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


def _modes(draft: Draft, name: str, args: list[Node]) -> None:
    """SET TRANSACTION and SET SESSION CHARACTERISTICS."""
    if name == "TRANSACTION SNAPSHOT":
        draft.settings.append(Setting("transaction_snapshot", _constant(args[0]), True))
        return
    session = name == "SESSION CHARACTERISTICS"
    for arg in args:
        _, mode = only(arg)
        full = f"default_{mode['defname']}" if session else mode["defname"]
        draft.settings.append(Setting(full, _constant(mode["arg"]), not session))


def _constant(node: Node) -> str | None:
    tag, body = only(node)
    if tag == "TypeCast":
        # SET TIME ZONE INTERVAL '1' HOUR
        return _constant(body["arg"])
    if tag != "A_Const":
        return text(node) or None
    if "sval" in body:
        return str(body["sval"].get("sval", ""))
    if "boolval" in body:
        return "true" if body["boolval"].get("boolval") else "false"
    return str(body["fval"]["fval"]) if "fval" in body else str(body.get("ival", {}).get("ival", 0))


def _transaction(draft: Draft, body: Node) -> None:
    kind = body["kind"].removeprefix("TRANS_STMT_")
    draft.kind = _TRANSACTION.get(kind, "other")
    draft.name = body.get("savepoint_name", body.get("gid"))
    if kind in ("PREPARE", "COMMIT_PREPARED", "ROLLBACK_PREPARED"):
        draft.action["prepare_transaction" if kind == "PREPARE" else "prepared"] = None
    _modes(draft, "", body.get("options", []))


def _grant(draft: Draft, body: Node) -> None:
    privileges = [only(one)[1] for one in body.get("privileges", [])]
    grantees = tuple(role_name(only(one)[1]) for one in body.get("grantees", []))
    names = tuple(one.get("priv_name", "all").lower() for one in privileges) or ("all",)
    draft.kind = "grant" if "is_grant" in body else "revoke"
    draft.privileges = Privileges(names, grantees, "grant_option" in body, False)
    type_ = type_of(body["objtype"])
    if body["targtype"] == "ACL_TARGET_ALL_IN_SCHEMA":
        draft.doubt("catalogue")
        type_ = "schema"
    for one in body.get("objects", []):
        about(draft, type_, one)


def _grant_roles(draft: Draft, body: Node) -> None:
    granted = tuple(only(one)[1].get("priv_name", "") for one in body.get("granted_roles", []))
    grantees = tuple(role_name(only(one)[1]) for one in body.get("grantee_roles", []))
    draft.kind = "grant" if "is_grant" in body else "revoke"
    options = [only(one)[1] for one in body.get("opt", [])]
    admin = any(one["defname"] == "admin" for one in options)
    draft.privileges = Privileges(granted, grantees, admin, True)


def _defaults(draft: Draft, body: Node) -> None:
    _grant(draft, body["action"])
    draft.action.update({"default_privileges": None, draft.kind: None})
    draft.kind = "alter"
    for option in body.get("options", []):
        _, said = only(option)
        for one in said["arg"]["List"]["items"]:
            about(draft, "role" if said["defname"] == "roles" else "schema", one)


def _system(draft: Draft, body: Node) -> None:
    draft.action["set" if body["setstmt"]["kind"].startswith("VAR_SET") else "reset"] = None
    draft.about("parameter", None, body["setstmt"].get("name", "all").lower())


def _vacuum(draft: Draft, body: Node) -> None:
    draft.kind = "vacuum" if "is_vacuumcmd" in body else "analyze"
    draft.action.update(dict.fromkeys(words(body.get("options", []))))
    for one in body.get("rels", []):
        about(draft, "table", only(one)[1]["relation"])
    if "rels" not in body:
        draft.doubt("catalogue")


def _relation(type_: str) -> Callable[[Draft, Node], None]:
    def fill(draft: Draft, body: Node) -> None:
        if "relation" in body:
            about(draft, type_, body["relation"])
        else:
            draft.doubt("catalogue")

    return fill


def _reindex(draft: Draft, body: Node) -> None:
    type_ = body["kind"].removeprefix("REINDEX_OBJECT_").lower()
    if "relation" in body:
        about(draft, type_, body["relation"])
        return
    draft.doubt("catalogue")
    if "name" in body:
        draft.about(type_, None, body["name"])


def _truncate(draft: Draft, body: Node) -> None:
    for one in body["relations"]:
        about(draft, "table", one)
    if "restart_seqs" in body:
        draft.action["restart_identity"] = None
    if body.get("behavior") == "DROP_CASCADE":
        draft.action["cascade"] = None
        draft.doubt("catalogue")


def _lock(draft: Draft, body: Node) -> None:
    draft.locks = True
    for one in body["relations"]:
        about(draft, "table", one)


def _commented(draft: Draft, body: Node) -> None:
    about(draft, type_of(body["objtype"]), body["object"])


def _named(*fields: str) -> Callable[[Draft, Node], None]:
    def fill(draft: Draft, body: Node) -> None:
        draft.name = next((body[field] for field in fields if field in body), None)

    return fill


def _discard(draft: Draft, body: Node) -> None:
    what = body["target"].removeprefix("DISCARD_").lower()
    draft.action[what] = None
    if what == "all":
        draft.settings.append(Setting("all", None, False))


def _constraints(draft: Draft, body: Node) -> None:
    for one in body.get("constraints", []):
        about(draft, "constraint", one)
    if "constraints" not in body:
        draft.doubt("catalogue")


def _import(draft: Draft, body: Node) -> None:
    draft.about("server", None, body["server_name"])
    draft.about("schema", None, body["local_schema"])
    draft.doubt("catalogue")


def _owned(draft: Draft, body: Node) -> None:
    for one in (*body["roles"], *([{"RoleSpec": body["newrole"]}] if "newrole" in body else ())):
        about(draft, "role", one)
    draft.action["owned"] = None
    draft.doubt("catalogue")


def _move_all(draft: Draft, body: Node) -> None:
    draft.about("tablespace", None, body["orig_tablespacename"])
    draft.action["set_tablespace"] = None
    draft.doubt("catalogue")


def _dynamic(draft: Draft, body: Node) -> None:
    said = {one["defname"]: one.get("arg", {}) for one in (only(option)[1] for option in body.get("args", []))}
    draft.about("language", None, (text(said["language"]) if "language" in said else "plpgsql").lower())
    draft.doubt("dynamic-sql")


def _nothing(draft: Draft, body: Any) -> None:
    """It has no more facts than its kind."""


_COMMANDS: Final[dict[str, tuple[str, Callable[[Draft, Node], None]]]] = {
    "VariableSetStmt": ("set", set_values),
    "VariableShowStmt": ("show", _named("name")),
    "TransactionStmt": ("begin", _transaction),
    "GrantStmt": ("grant", _grant),
    "GrantRoleStmt": ("grant", _grant_roles),
    "AlterDefaultPrivilegesStmt": ("alter", _defaults),
    "AlterSystemStmt": ("alter", _system),
    "AlterTableMoveAllStmt": ("alter", _move_all),
    "VacuumStmt": ("vacuum", _vacuum),
    "ClusterStmt": ("cluster", _relation("table")),
    "RefreshMatViewStmt": ("refresh", _relation("materialized_view")),
    "ReindexStmt": ("reindex", _reindex),
    "TruncateStmt": ("truncate", _truncate),
    "LockStmt": ("lock", _lock),
    "CommentStmt": ("comment", _commented),
    "SecLabelStmt": ("security_label", _commented),
    "DeallocateStmt": ("deallocate", _named("name")),
    "ClosePortalStmt": ("close", _named("portalname")),
    "ListenStmt": ("listen", _named("conditionname")),
    "NotifyStmt": ("notify", _named("conditionname")),
    "UnlistenStmt": ("unlisten", _named("conditionname")),
    "LoadStmt": ("load", _named("filename")),
    "CheckPointStmt": ("checkpoint", _nothing),
    "DiscardStmt": ("discard", _discard),
    "ConstraintsSetStmt": ("constraints", _constraints),
    "ImportForeignSchemaStmt": ("import", _import),
    "ReassignOwnedStmt": ("reassign", _owned),
    "DropOwnedStmt": ("drop", _owned),
    "DoStmt": ("do", _dynamic),
}
