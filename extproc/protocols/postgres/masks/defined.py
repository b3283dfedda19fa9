"""The SQL that asks a server what it defines beside PostgreSQL's own operators, functions and casts.

Written as question.py has it: all that it names is qualified, and it means the same under every search path.
"""

from dataclasses import dataclass

from extproc.protocols.postgres.masks.catalogue import Answer
from extproc.protocols.postgres.sql.custom import UNTOLD, Custom, custom_of

_COMPUTING = "btree_gin btree_gist citext cube earthdistance hstore intarray isn ltree pg_trgm postgis seg vector"
"""Extensions whose operators, casts and functions with a name of PostgreSQL's own only compute. What belongs to one
counts as long as its code is in C, or its owner is a superuser: by ALTER EXTENSION anybody can add to his own."""

_MOST = 20_000
"""Rows of an answer; one that has more is none."""

# What initdb made has object ids below 16384 (FirstNormalObjectId); those of catalogues never change: 1255 pg_proc,
# 2605 pg_cast, 2606 pg_constraint, 2617 pg_operator, 3079 pg_extension.
_SQL = """WITH RECURSIVE member AS (
  SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d, pg_catalog.pg_extension AS e
  WHERE d.refclassid OPERATOR(pg_catalog.=) '3079'::pg_catalog.oid
    AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char" AND e.oid OPERATOR(pg_catalog.=) d.refobjid
    AND e.extname OPERATOR(pg_catalog.=) ANY ('{{{extensions}}}'::pg_catalog.name[])
), own AS (
  SELECT p.oid, p.proname, p.pronamespace FROM pg_catalog.pg_proc AS p
  WHERE p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
    AND NOT (p.oid OPERATOR(pg_catalog.=) ANY (SELECT m.objid FROM member AS m
        WHERE m.classid OPERATOR(pg_catalog.=) '1255'::pg_catalog.oid)
      AND (p.prolang OPERATOR(pg_catalog.=) ANY (SELECT l.oid FROM pg_catalog.pg_language AS l
          WHERE l.lanname OPERATOR(pg_catalog.=) ANY ('{{c,internal}}'::pg_catalog.name[]))
        OR p.proowner OPERATOR(pg_catalog.=) ANY (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolsuper)))
), operators AS (
  SELECT o.oid, o.oprname, n.nspname, o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
    AND o.oid OPERATOR(pg_catalog.=) ANY (SELECT m.objid FROM member AS m
      WHERE m.classid OPERATOR(pg_catalog.=) '2617'::pg_catalog.oid)
    AND NOT o.oprcode::pg_catalog.oid OPERATOR(pg_catalog.=) ANY (SELECT w.oid FROM own AS w) AS harmless
  FROM pg_catalog.pg_operator AS o, pg_catalog.pg_namespace AS n
  WHERE n.oid OPERATOR(pg_catalog.=) o.oprnamespace AND o.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
), casts AS (
  SELECT c.castsource, c.casttarget FROM pg_catalog.pg_cast AS c
  WHERE c.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
    AND c.castfunc OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid
    AND (c.castfunc OPERATOR(pg_catalog.=) ANY (SELECT w.oid FROM own AS w)
      OR NOT c.oid OPERATOR(pg_catalog.=) ANY (SELECT m.objid FROM member AS m
        WHERE m.classid OPERATOR(pg_catalog.=) '2605'::pg_catalog.oid))
), used (oid, converts) AS (
  SELECT t.oid, true FROM casts AS c, pg_catalog.pg_type AS t
  WHERE t.oid OPERATOR(pg_catalog.=) ANY (ARRAY[c.castsource, c.casttarget])
    AND (t.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
      OR c.castsource OPERATOR(pg_catalog.<) '16384'::pg_catalog.oid
        AND c.casttarget OPERATOR(pg_catalog.<) '16384'::pg_catalog.oid)
  UNION
  SELECT k.contypid, false FROM pg_catalog.pg_constraint AS k, pg_catalog.pg_depend AS d
  WHERE k.contypid OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid
    AND d.classid OPERATOR(pg_catalog.=) '2606'::pg_catalog.oid AND d.objid OPERATOR(pg_catalog.=) k.oid
    AND (d.refclassid OPERATOR(pg_catalog.=) '1255'::pg_catalog.oid
        AND EXISTS (SELECT 1 FROM own AS w WHERE w.oid OPERATOR(pg_catalog.=) d.refobjid)
      OR d.refclassid OPERATOR(pg_catalog.=) '2617'::pg_catalog.oid
        AND EXISTS (SELECT 1 FROM operators AS o WHERE o.oid OPERATOR(pg_catalog.=) d.refobjid AND NOT o.harmless))
  UNION
  SELECT t.oid, u.converts FROM used AS u, pg_catalog.pg_type AS t
  WHERE t.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
    AND (t.typbasetype OPERATOR(pg_catalog.=) u.oid OR t.typelem OPERATOR(pg_catalog.=) u.oid
      OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) t.typrelid
        AND a.atttypid OPERATOR(pg_catalog.=) u.oid AND NOT a.attisdropped
        AND u.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid))
), answer (kind, schema, name, type_schema, type_name) AS (
  SELECT CASE WHEN o.harmless THEN 'h'::pg_catalog.text ELSE 'o'::pg_catalog.text END, o.nspname, o.oprname,
    NULL::pg_catalog.name, NULL::pg_catalog.name FROM operators AS o
  UNION ALL
  SELECT 'f'::pg_catalog.text, n.nspname, w.proname, NULL::pg_catalog.name, NULL::pg_catalog.name
  FROM own AS w, pg_catalog.pg_namespace AS n
  WHERE n.oid OPERATOR(pg_catalog.=) w.pronamespace AND EXISTS (
    SELECT 1 FROM pg_catalog.pg_proc AS p WHERE p.proname OPERATOR(pg_catalog.=) w.proname
      AND p.oid OPERATOR(pg_catalog.<) '16384'::pg_catalog.oid)
  UNION ALL
  SELECT 't'::pg_catalog.text, n.nspname, t.typname, NULL::pg_catalog.name, NULL::pg_catalog.name
  FROM used AS u, pg_catalog.pg_type AS t, pg_catalog.pg_namespace AS n
  WHERE t.oid OPERATOR(pg_catalog.=) u.oid AND n.oid OPERATOR(pg_catalog.=) t.typnamespace
  UNION ALL
  SELECT 'r'::pg_catalog.text, m.nspname, r.relname, n.nspname, t.typname
  FROM used AS u, pg_catalog.pg_type AS t, pg_catalog.pg_namespace AS n, pg_catalog.pg_class AS r,
    pg_catalog.pg_namespace AS m
  WHERE u.converts AND u.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND t.oid OPERATOR(pg_catalog.=) u.oid
    AND n.oid OPERATOR(pg_catalog.=) t.typnamespace AND m.oid OPERATOR(pg_catalog.=) r.relnamespace
    AND r.oid OPERATOR(pg_catalog.=) t.typrelid
  UNION ALL
  SELECT 'r'::pg_catalog.text, m.nspname, r.relname, n.nspname, t.typname
  FROM used AS u, pg_catalog.pg_type AS t, pg_catalog.pg_namespace AS n, pg_catalog.pg_attribute AS a,
    pg_catalog.pg_class AS r, pg_catalog.pg_namespace AS m
  WHERE u.converts AND u.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND t.oid OPERATOR(pg_catalog.=) u.oid
    AND n.oid OPERATOR(pg_catalog.=) t.typnamespace AND m.oid OPERATOR(pg_catalog.=) r.relnamespace
    AND a.atttypid OPERATOR(pg_catalog.=) u.oid AND r.oid OPERATOR(pg_catalog.=) a.attrelid AND NOT a.attisdropped
  UNION ALL
  SELECT 'c'::pg_catalog.text, n.nspname, p.proname, NULL::pg_catalog.name, NULL::pg_catalog.name
  FROM pg_catalog.pg_proc AS p, pg_catalog.pg_namespace AS n, pg_catalog.pg_type AS t
  WHERE n.oid OPERATOR(pg_catalog.=) p.pronamespace AND t.oid OPERATOR(pg_catalog.=) p.proargtypes[0]
    AND p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid AND p.pronargs OPERATOR(pg_catalog.>) '0'::pg_catalog.int2
    AND (p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults) OPERATOR(pg_catalog.<) '2'::pg_catalog.int2
    AND t.typtype OPERATOR(pg_catalog.=) ANY ('{{c,d,p}}'::pg_catalog."char"[])
    AND t.typname OPERATOR(pg_catalog.<>) ALL ('{{cstring,internal}}'::pg_catalog.name[])
  UNION ALL
  SELECT 'u'::pg_catalog.text, 'any'::pg_catalog.name, p.proname, NULL::pg_catalog.name, NULL::pg_catalog.name
  FROM pg_catalog.pg_proc AS p, pg_catalog.pg_type AS t
  WHERE t.oid OPERATOR(pg_catalog.=) p.proargtypes[0] AND p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid
    AND (p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults) OPERATOR(pg_catalog.<) '2'::pg_catalog.int2
    AND t.typname OPERATOR(pg_catalog.<>) ALL ('{{cstring,internal}}'::pg_catalog.name[])
)
SELECT DISTINCT a.kind, a.schema::pg_catalog.text, a.name::pg_catalog.text, a.type_schema::pg_catalog.text,
  a.type_name::pg_catalog.text
FROM answer AS a
LIMIT {limit}"""


@dataclass(frozen=True, slots=True)
class Defined:
    """Asks for it all."""

    def sql(self) -> str:
        """One statement whose rows `custom` reads."""
        return _SQL.format(extensions=",".join(_COMPUTING.split()), limit=_MOST + 1)


def custom(rows: Answer | None) -> Custom:
    """The answer; UNTOLD where there is none, or what came is none."""
    if rows is None or len(rows) > _MOST:
        return UNTOLD
    try:
        return custom_of(rows)
    except ValueError:
        return UNTOLD
