"""What else gives a statement its meaning in the session that runs it: settings, temporary objects, and what the names
that it uses stand for. An approval binds it, so the server is asked for it before people are.

The question is one SELECT in the client's own session, for only there can it be told: settings may have been changed by
functions, and temporary objects are seen by nobody else. It is sent where people would be asked, and nowhere else. All
that it names is qualified, for the reasons that `masks.question` gives.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from extproc.domain.mask import Mask
from extproc.masking.operators import mask_text
from extproc.masking.redact import SECRET_NAMES
from extproc.protocols.postgres.masks.whole import COLUMN
from extproc.protocols.postgres.sql import Script

INDIFFERENT = (
    "application_name",
    "client_connection_check_interval",
    "client_min_messages",
    "deadlock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "transaction_timeout",
)
"""Settings that an approval does not bind: they say what a session is called and how long it waits, not what a
statement does. All others are bound, those that nobody thought of as well."""

_ALWAYS = ("DateStyle", "IntervalStyle", "TimeZone")
"""Settings that are always shown: values are read by them."""

_SQL = """WITH path AS (
  SELECT pg_catalog.current_schemas(true) AS names, pg_catalog.pg_my_temp_schema() AS temporary
), named AS (
  SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.reloptions, n.nspname,
    c.relpersistence OPERATOR(pg_catalog.=) 't'::pg_catalog."char" AS temporary
  FROM path AS p, pg_catalog.pg_class AS c, pg_catalog.pg_namespace AS n
  WHERE n.oid OPERATOR(pg_catalog.=) c.relnamespace AND c.relname OPERATOR(pg_catalog.=) ANY ({relations})
    AND (n.nspname OPERATOR(pg_catalog.=) ANY (p.names) OR n.nspname OPERATOR(pg_catalog.=) ANY ({schemas})
      OR n.oid OPERATOR(pg_catalog.=) p.temporary)
), settings AS (
  SELECT s.name, s.setting, s.reset_val, s.source FROM pg_catalog.pg_show_all_settings() AS s
  WHERE s.name OPERATOR(pg_catalog.<>) ALL ({indifferent})
), texts AS (
  SELECT f.prosrc AS source FROM pg_catalog.pg_proc AS f
  WHERE f.prosrc OPERATOR(pg_catalog.~*) 'current_setting'::pg_catalog.text
  UNION ALL SELECT pg_catalog.pg_get_expr(y.polqual, y.polrelid) FROM pg_catalog.pg_policy AS y
  UNION ALL SELECT pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid) FROM pg_catalog.pg_policy AS y
  UNION ALL SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef AS d, named AS r
    WHERE d.adrelid OPERATOR(pg_catalog.=) r.oid
  UNION ALL SELECT CASE WHEN p.names[1] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
      OR p.names[2] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
        AND p.names[1]::pg_catalog.text OPERATOR(pg_catalog.~) '^pg_temp_'::pg_catalog.text
    THEN pg_catalog.pg_get_viewdef(r.oid) END FROM named AS r, path AS p
    WHERE r.relkind OPERATOR(pg_catalog.=) ANY ('{{v,m}}'::pg_catalog."char"[])
), own AS (
  SELECT pg_catalog.unnest({customs}) AS name
  UNION SELECT m.found[1] FROM texts AS t, pg_catalog.regexp_matches(
    t.source, 'current_setting\\s*\\(\\s*''([^''.]+\\.[^'']+)'''::pg_catalog.text, 'gi'::pg_catalog.text) AS m(found)
), customs AS (
  SELECT o.name, pg_catalog.current_setting(o.name, true) AS setting FROM own AS o
  WHERE NOT EXISTS (SELECT 1 FROM settings AS s WHERE s.name OPERATOR(pg_catalog.=) o.name)
)
SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('role'),
  pg_catalog.current_setting('session_authorization'),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(s.name, s.setting) ORDER BY s.name) FROM settings AS s
   WHERE s.source OPERATOR(pg_catalog.=) ANY ({sources}) OR s.name OPERATOR(pg_catalog.=) ANY ({always})
  )::pg_catalog.text,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(c.name, c.setting) ORDER BY c.name) FROM customs AS c
   WHERE c.setting IS NOT NULL)::pg_catalog.text,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(t.kind, t.name) ORDER BY t.kind, t.name) FROM (
    SELECT c.relkind::pg_catalog.text AS kind, c.relname::pg_catalog.text AS name
    FROM pg_catalog.pg_class AS c, path AS p
    WHERE c.relnamespace OPERATOR(pg_catalog.=) p.temporary
      AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,v,S,f,p,m,c}}'::pg_catalog."char"[])
    UNION ALL SELECT 'type', y.typname::pg_catalog.text FROM pg_catalog.pg_type AS y, path AS p
    WHERE y.typnamespace OPERATOR(pg_catalog.=) p.temporary
      AND y.typtype OPERATOR(pg_catalog.=) ANY ('{{d,e,r,m}}'::pg_catalog."char"[])
    UNION ALL SELECT 'function', f.proname::pg_catalog.text FROM pg_catalog.pg_proc AS f, path AS p
    WHERE f.pronamespace OPERATOR(pg_catalog.=) p.temporary) AS t)::pg_catalog.text,
  pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.json_build_array(
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(s.name, s.setting, s.reset_val) ORDER BY s.name)
     FROM settings AS s),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(r.temporary,
        CASE WHEN r.temporary THEN 'pg_temp' ELSE r.nspname END, r.relname, r.relkind, r.relrowsecurity,
        r.relforcerowsecurity, r.relowner, r.reloptions::pg_catalog.text,
        CASE WHEN r.temporary THEN NULL ELSE r.oid END,
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname, a.atttypid, a.attisdropped)
           ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid OPERATOR(pg_catalog.=) r.oid AND a.attnum OPERATOR(pg_catalog.>) '0'::pg_catalog.int2),
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(d.adnum, d.xmin) ORDER BY d.adnum)
         FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid OPERATOR(pg_catalog.=) r.oid),
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(w.rulename, w.xmin) ORDER BY w.rulename)
         FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class OPERATOR(pg_catalog.=) r.oid),
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(g.tgname, g.xmin) ORDER BY g.tgname)
         FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid OPERATOR(pg_catalog.=) r.oid AND NOT g.tgisinternal),
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(y.polname, y.xmin) ORDER BY y.polname)
         FROM pg_catalog.pg_policy AS y WHERE y.polrelid OPERATOR(pg_catalog.=) r.oid),
        (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, pg_catalog.pg_get_constraintdef(k.oid),
           CASE WHEN r.temporary THEN NULL ELSE k.conrelid END) ORDER BY k.conname, k.conrelid)
         FROM pg_catalog.pg_constraint AS k
         WHERE k.conrelid OPERATOR(pg_catalog.=) r.oid OR k.confrelid OPERATOR(pg_catalog.=) r.oid))
      ORDER BY r.nspname, r.relname) FROM named AS r),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.oid OPERATOR(pg_catalog.=) p.temporary,
        CASE WHEN n.oid OPERATOR(pg_catalog.=) p.temporary THEN 'pg_temp' ELSE n.nspname END, f.proname,
        f.proargtypes::pg_catalog.text, f.prosrc, f.probin, f.proconfig::pg_catalog.text, f.prolang, f.prosecdef,
        CASE WHEN n.oid OPERATOR(pg_catalog.=) p.temporary THEN NULL ELSE f.xmin END)
      ORDER BY n.nspname, f.proname, f.proargtypes::pg_catalog.text)
     FROM path AS p, pg_catalog.pg_proc AS f, pg_catalog.pg_namespace AS n
     WHERE n.oid OPERATOR(pg_catalog.=) f.pronamespace AND f.proname OPERATOR(pg_catalog.=) ANY ({functions})
       AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.name
       AND (n.nspname OPERATOR(pg_catalog.=) ANY (p.names) OR n.nspname OPERATOR(pg_catalog.=) ANY ({schemas})
         OR n.oid OPERATOR(pg_catalog.=) p.temporary)),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(o.oid, o.xmin, f.oid, f.xmin) ORDER BY o.oid)
     FROM pg_catalog.pg_operator AS o, pg_catalog.pg_proc AS f
     WHERE o.oid OPERATOR(pg_catalog.>=) {first} AND f.oid OPERATOR(pg_catalog.=) o.oprcode::pg_catalog.oid),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(o.oid, o.xmin, f.xmin) ORDER BY o.oid)
     FROM pg_catalog.pg_cast AS o LEFT JOIN pg_catalog.pg_proc AS f ON f.oid OPERATOR(pg_catalog.=) o.castfunc
     WHERE o.oid OPERATOR(pg_catalog.>=) {first}),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
         y.typname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)) ORDER BY y.typname, k.conname)
     FROM path AS p, pg_catalog.pg_constraint AS k, pg_catalog.pg_type AS y, pg_catalog.pg_namespace AS n
     WHERE k.oid OPERATOR(pg_catalog.>=) {first} AND y.oid OPERATOR(pg_catalog.=) k.contypid
       AND n.oid OPERATOR(pg_catalog.=) y.typnamespace AND (n.oid OPERATOR(pg_catalog.=) p.temporary
         OR n.nspname::pg_catalog.text OPERATOR(pg_catalog.!~) '^pg_temp_'::pg_catalog.text))
    )::pg_catalog.text, 'UTF8')), 'hex')"""

_FIRST = "'16384'::pg_catalog.oid"
"""The first number of objects that PostgreSQL did not make itself (FirstNormalObjectId). Which operators, casts and
domains a statement uses depends on the types of its operands, so the approval binds all those of the database's own."""

_SOURCES = ("client", "database", "database user", "global", "session", "user")
"""Of a setting's sources, those that are not the server's own (pg_settings)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the server told. `settings` are those that are shown, `customs` the application's own (with a dot in their
    name), `temporary` the session's temporary objects as kind and name; `fingerprint` is a hash over all settings, and
    over the definitions of the relations and functions that the statement names."""

    settings: tuple[tuple[str, str], ...]
    customs: tuple[tuple[str, str], ...]
    temporary: tuple[tuple[str, str], ...]
    fingerprint: str

    def parts(self) -> list[str]:
        """What a digest binds of it."""
        told = orjson.dumps([self.customs, self.temporary]).decode()
        return [told, self.fingerprint]

    def shown(self, masks: Iterable[Mask]) -> list[str]:
        """What an approver sees of it, as comments, a line each. Values of settings that are named like secrets, or as
        keys of these masks, are left out; they are bound all the same."""
        keys = {key.lower().rpartition(".")[2] for mask in masks for key in mask.keys}
        lines = []
        for name, value in (*self.settings, *self.customs):
            last = name.lower().rpartition(".")[2]
            hidden = last in keys or "".join(filter(str.isalnum, last)) in SECRET_NAMES
            if name not in _SHOWN_ELSEWHERE:
                lines.append(f"-- setting {_quoted(name)} = {_quoted(mask_text(COLUMN) if hidden else value)}")
        return [*lines, *(f"-- temporary {_KINDS.get(kind, kind)} {_quoted(name)}" for kind, name in self.temporary)]


@dataclass(slots=True, eq=False)
class Settling:
    """One question that is under way, or answered: `found` is None where the answer is of no use. `lost`: something
    before it in the pipeline failed, so that the server skipped it, and skips what it was asked for."""

    row: list[bytes | None] | None = None
    closed: int = 0
    done: bool = False
    lost: bool = False
    found: Surroundings | None = None


def question(script: Script, customs: Iterable[str]) -> str:
    """The SELECT that asks for the surroundings of a statement with these facts; `customs` are settings of the
    application's own that the session is known to have."""
    of = script.statements
    relations = [(one.schema, one.name) for part in of for one in (*part.reads, *part.writes)]
    relations += [(one.schema, one.name) for part in of for one in part.objects]
    functions = [(one.schema, one.name) for part in of for one in part.functions]
    return _SQL.format(
        relations=_names({name for _, name in relations}),
        functions=_names({name for _, name in functions}),
        schemas=_names({schema for schema, _ in (*relations, *functions) if schema is not None}),
        indifferent=_texts(INDIFFERENT),
        sources=_texts(_SOURCES),
        always=_texts(_ALWAYS),
        customs=_texts(sorted(customs)),
        first=_FIRST,
    )


def told(row: Sequence[bytes | None]) -> tuple[str, str, str, Surroundings] | None:
    """Of the row that answers: search_path, role and user as `look` has them, and the surroundings; None where it is
    not what was asked for."""
    if len(row) != _COLUMNS or any(row[at] is None for at in (0, 1, 2, _COLUMNS - 1)):
        return None
    path, role, user, *lists, fingerprint = (None if one is None else one.decode("utf-8", "replace") for one in row)
    try:
        settings, customs, temporary = (tuple(map(_pair, orjson.loads(one or "[]"))) for one in lists)
    except (orjson.JSONDecodeError, ValueError, TypeError):
        return None
    assert path is not None
    assert role is not None
    assert user is not None
    assert fingerprint is not None
    return path, role, user, Surroundings(settings, customs, temporary, fingerprint)


_COLUMNS = 7
_SHOWN_ELSEWHERE = frozenset({"search_path", "client_encoding", "standard_conforming_strings"})
_KINDS = {"r": "table", "p": "table", "f": "table", "v": "view", "m": "view", "S": "sequence", "c": "type"}


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _pair(both: list[str]) -> tuple[str, str]:
    first, second = both
    return str(first), str(second)


def _names(names: Iterable[str]) -> str:
    return f"ARRAY[{_literals(sorted(names))}]::pg_catalog.name[]"


def _texts(texts: Iterable[str]) -> str:
    return f"ARRAY[{_literals(texts)}]::pg_catalog.text[]"


def _literals(texts: Iterable[str]) -> str:
    return ", ".join(f"'{one.replace(chr(0), '').replace(chr(39), chr(39) * 2)}'" for one in texts)
