"""CREATE, ALTER and DROP: what they are about, what they do to it, and the expressions that they leave behind."""

import re
from typing import Any, Final

from extproc.protocols.postgres.sql.changes import Changes
from extproc.protocols.postgres.sql.code import fires, runs
from extproc.protocols.postgres.sql.compare import only
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import Relation
from extproc.protocols.postgres.sql.names import relation_name
from extproc.protocols.postgres.sql.objects import about, role_name, type_of, words
from extproc.protocols.postgres.sql.scope import Scope, Source, relation
from extproc.protocols.postgres.sql.tree import Node

CREATED: Final = {
    "CreateStmt": ("table", "relation"),
    "CreateSeqStmt": ("sequence", "sequence"),
    "CreateRoleStmt": ("role", "role"),
    "CreatedbStmt": ("database", "dbname"),
    "CreateExtensionStmt": ("extension", "extname"),
    "CreateEnumStmt": ("type", "typeName"),
    "CreateRangeStmt": ("type", "typeName"),
    "CompositeTypeStmt": ("type", "typevar"),
    "CreateDomainStmt": ("domain", "domainname"),
    "IndexStmt": ("index", "idxname"),
    "CreatePolicyStmt": ("policy", "policy_name"),
    "CreateTrigStmt": ("trigger", "trigname"),
    "CreateEventTrigStmt": ("event_trigger", "trigname"),
    "CreatePublicationStmt": ("publication", "pubname"),
    "CreateSubscriptionStmt": ("subscription", "subname"),
    "CreateForeignServerStmt": ("server", "servername"),
    "CreateFdwStmt": ("foreign_data_wrapper", "fdwname"),
    "CreateStatsStmt": ("statistics", "defnames"),
    "CreateTableSpaceStmt": ("tablespace", "tablespacename"),
    "CreateUserMappingStmt": ("user_mapping", "servername"),
    "CreateAmStmt": ("access_method", "amname"),
    "CreatePLangStmt": ("language", "plname"),
    "CreateConversionStmt": ("conversion", "conversion_name"),
    "CreateOpClassStmt": ("opclass", "opclassname"),
    "CreateOpFamilyStmt": ("opfamily", "opfamilyname"),
    "CreateTransformStmt": ("transform", "type_name"),
    "CreateCastStmt": ("cast", "targettype"),
    "DefineStmt": ("kind", "defnames"),
}
"""Kinds of objects, and the field with the name."""
ALTERED: Final = {
    "AlterTableStmt": ("objtype", "relation"),
    "AlterSeqStmt": ("sequence", "sequence"),
    "AlterEnumStmt": ("type", "typeName"),
    "AlterTypeStmt": ("type", "typeName"),
    "AlterDomainStmt": ("domain", "typeName"),
    "AlterPolicyStmt": ("policy", "policy_name"),
    "AlterExtensionStmt": ("extension", "extname"),
    "AlterExtensionContentsStmt": ("extension", "extname"),
    "AlterFunctionStmt": ("objtype", "func"),
    "AlterDatabaseStmt": ("database", "dbname"),
    "AlterDatabaseSetStmt": ("database", "dbname"),
    "AlterDatabaseRefreshCollStmt": ("database", "dbname"),
    "AlterRoleStmt": ("role", "role"),
    "AlterRoleSetStmt": ("role", "role"),
    "AlterPublicationStmt": ("publication", "pubname"),
    "AlterSubscriptionStmt": ("subscription", "subname"),
    "AlterForeignServerStmt": ("server", "servername"),
    "AlterFdwStmt": ("foreign_data_wrapper", "fdwname"),
    "AlterUserMappingStmt": ("user_mapping", "servername"),
    "AlterCollationStmt": ("collation", "collname"),
    "AlterOperatorStmt": ("operator", "opername"),
    "AlterOpFamilyStmt": ("opfamily", "opfamilyname"),
    "AlterStatsStmt": ("statistics", "defnames"),
    "AlterTSConfigurationStmt": ("tsconfiguration", "cfgname"),
    "AlterTSDictionaryStmt": ("tsdictionary", "dictname"),
    "AlterTableSpaceOptionsStmt": ("tablespace", "tablespacename"),
    "AlterEventTrigStmt": ("event_trigger", "trigname"),
    "AlterOwnerStmt": ("objectType", "object"),
    "AlterObjectSchemaStmt": ("objectType", "object"),
    "AlterObjectDependsStmt": ("objectType", "object"),
    "RenameStmt": ("renameType", "object"),
}
DROPPED: Final = {
    "DropStmt": ("removeType", "objects"),
    "DropRoleStmt": ("role", "roles"),
    "DropdbStmt": ("database", "dbname"),
    "DropSubscriptionStmt": ("subscription", "subname"),
    "DropTableSpaceStmt": ("tablespace", "tablespacename"),
    "DropUserMappingStmt": ("user_mapping", "servername"),
}
_TYPED: Final = frozenset({"kind", "objtype", "objectType", "renameType", "removeType"})
"""Fields that say of what kind the object is."""
_DOES: Final = {
    "AlterOwnerStmt": "owner",
    "AlterObjectSchemaStmt": "set_schema",
    "AlterObjectDependsStmt": "depends",
    "AlterDatabaseSetStmt": "set",
    "AlterRoleSetStmt": "set",
    "AlterEnumStmt": "add_value",
    "AlterExtensionContentsStmt": "contents",
}
_DOMAIN: Final = {
    "T": "column_default",
    "N": "drop_not_null",
    "O": "set_not_null",
    "C": "add_constraint",
    "X": "drop_constraint",
    "V": "validate_constraint",
}
_EXPRESSIONS: Final = frozenset({"raw_expr", "raw_default", "whereClause", "qual", "with_check", "expr", "defexpr"})


class Definitions(Changes):
    """Reads statements that define objects, but for those with statements in them."""

    def define(self, tag: str, body: Node, within: str | None) -> bool:
        """Reads one as an item; False where it is none of them."""
        for kind, table in (("create", CREATED), ("alter", ALTERED), ("drop", DROPPED)):
            if tag in table:
                draft = self.begin(kind, within)
                type_, field = table[tag]
                type_ = type_of(body[type_]) if type_ in _TYPED else type_
                if kind == "drop":
                    self._drop(draft, type_, body.get(field, []), body)
                    return True
                if field in body:
                    about(draft, type_, body[field])
                self.beside(draft, type_, tag, body)
                if kind == "alter":
                    self._alter(draft, tag, body)
                elif tag == "CreateRoleStmt":
                    draft.action.update(dict.fromkeys(words(body.get("options", []))))
                return True
        return False

    def _drop(self, draft: Draft, type_: str, named: Any, body: Node) -> None:
        if isinstance(named, str):
            about(draft, type_, named)
        else:
            for one in named:
                about(draft, type_, one)
        if body.get("behavior") == "DROP_CASCADE":
            draft.action["cascade"] = None
            draft.doubt("catalogue")

    def beside(self, draft: Draft, type_: str, tag: str, body: Node) -> None:
        """The table that an object is of, and the expressions and tables that a definition names."""
        scope = Scope(None, None)
        table = body.get("relation") or body.get("table")
        if table is not None:
            schema, name = relation_name(table)
            scope.add(Source(name, relation(schema, name), schema))
            for row in ("old", "new"):
                scope.add(Source(row, relation(schema, name), qualified=True))
            if tag == "RenameStmt" and body["renameType"] in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
                draft.about("column", schema, f"{name}.{body['subname']}")
                draft.about(type_of(body["relationType"]), schema, name)
            elif tag == "RenameStmt" and "subname" in body:
                draft.about(type_, schema, body["subname"])
                draft.about("table", schema, name)
            else:
                draft.about(type_ if tag in _WHOLE else "table", schema, name)
        runs(draft, tag, body)
        if tag == "CreateTrigStmt":
            fires(draft, body, relation_name(body["relation"]))
        for each in body.get("relations", []):
            about(draft, "table", each)
        self._search(draft, scope, body)

    def _search(self, draft: Draft, scope: Scope, tree: Any) -> None:
        todo = [tree]
        while todo:
            one = todo.pop()
            if isinstance(one, list):
                todo += reversed(one)
                continue
            for name, value in one.items():
                if name in _EXPRESSIONS:
                    self.value(draft, scope, value)
                elif name == "whenClause":
                    self.value(draft, scope, value, "filtered")
                elif name == "exclusions":
                    for each in value:
                        element, compared_by = only(each)[1]["items"]
                        self.operates(draft, only(compared_by)[1]["items"])
                        todo.append(element)
                elif name == "pktable" or name == "TableLikeClause":
                    draft.reads[Relation(*relation_name(value.get("relation", value)))] = None
                elif name == "inhRelations":
                    draft.reads.update((Relation(*relation_name(only(each)[1])), None) for each in value)
                elif name in ("PartitionCmd", "pubtable"):
                    about(draft, "table", value.get("name") or value.get("relation"))
                elif name == "AlterTableCmd" and value["subtype"] in ("AT_ColumnDefault", "AT_SetExpression"):
                    self.value(draft, scope, value.get("def", []))
                elif name not in ("relation", "typeName") and isinstance(value, dict | list):
                    todo.append(value)

    def _alter(self, draft: Draft, tag: str, body: Node) -> None:
        if tag == "RenameStmt":
            part = type_of(body["renameType"])
            draft.action[f"rename_{part}" if body["renameType"] in _NAMED_PARTS else "rename"] = None
        elif tag in _DOES:
            draft.action["rename_value" if "oldVal" in body else _DOES[tag]] = None
        for each in body.get("cmds", []):
            _, command = only(each)
            draft.action[snake(command["subtype"])] = None
            if "newowner" in command:
                draft.about("role", None, role_name(command["newowner"]))
            if "name" in command and command["subtype"] in _OF_COLUMNS and "relation" in body:
                schema, table = relation_name(body["relation"])
                draft.about("column", schema, f"{table}.{command['name']}")
        if tag == "AlterDomainStmt":
            draft.action[_DOMAIN.get(body.get("subtype", ""), "other")] = None
            if "def" in body and body["subtype"] == "T":
                self.value(draft, Scope(None, None), body["def"])
        elif tag != "AlterTableStmt":
            draft.action.update(dict.fromkeys(words(body.get("options", []) + body.get("actions", []))))
        if "newowner" in body:
            draft.about("role", None, role_name(body["newowner"]))
        if "setstmt" in body and "name" in body["setstmt"]:
            draft.about("parameter", None, body["setstmt"]["name"].lower())


_NAMED_PARTS: Final = frozenset(
    {
        *("OBJECT_COLUMN", "OBJECT_ATTRIBUTE", "OBJECT_TABCONSTRAINT", "OBJECT_DOMCONSTRAINT"),
        *("OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"),
    }
)
_WHOLE: Final = frozenset({"AlterTableStmt", "AlterOwnerStmt", "AlterObjectSchemaStmt", "RenameStmt"})
_OF_COLUMNS: Final = frozenset(
    {
        *("AT_DropColumn", "AT_AlterColumnType", "AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull"),
        *("AT_SetExpression", "AT_DropExpression", "AT_SetStatistics", "AT_SetStorage", "AT_SetCompression"),
        *("AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity"),
    }
)


def snake(subtype: str) -> str:
    """AT_DropColumn → drop_column."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", subtype.removeprefix("AT_")).lower()
