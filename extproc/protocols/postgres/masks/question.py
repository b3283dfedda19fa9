"""The SQL that asks a server about tables and views.

All that it names is qualified, operators too: whoever can create objects could else have his own found first, if the
search path has his schema before pg_catalog. For that there is no IN, CASE x WHEN, USING or BETWEEN in it either, which
look for an operator by its name alone. pg_get_viewdef itself runs SQL that is not so careful, so it is only asked where
pg_catalog comes first, as it does unless somebody puts it elsewhere; views' queries are unknown otherwise.
"""

from dataclasses import dataclass

_SQL = """WITH RECURSIVE asked AS (
  SELECT c.oid, c.relname, c.relkind, c.relnamespace FROM pg_catalog.pg_class AS c
  WHERE (c.oid OPERATOR(pg_catalog.=) ANY ({oids}) OR c.relname OPERATOR(pg_catalog.=) ANY ({names}))
    AND c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,v,m,f,p,S,t}}'::pg_catalog."char"[])
), above AS (
  SELECT i.inhrelid AS child, i.inhparent AS parent FROM pg_catalog.pg_inherits AS i, asked AS a
  WHERE i.inhrelid OPERATOR(pg_catalog.=) a.oid
  UNION
  SELECT b.child, i.inhparent FROM pg_catalog.pg_inherits AS i, above AS b
  WHERE i.inhrelid OPERATOR(pg_catalog.=) b.parent
), below AS (
  SELECT a.oid AS top, a.oid FROM asked AS a
  UNION
  SELECT b.top, i.inhrelid FROM pg_catalog.pg_inherits AS i, below AS b
  WHERE i.inhparent OPERATOR(pg_catalog.=) b.oid
), made AS (
  SELECT DISTINCT b.top, g.attname AS name, s.attname AS source
  FROM below AS b, pg_catalog.pg_attribute AS g, pg_catalog.pg_depend AS d, pg_catalog.pg_attribute AS s
  WHERE g.attrelid OPERATOR(pg_catalog.=) b.oid AND g.attnum OPERATOR(pg_catalog.>) '0'::pg_catalog.int2
    AND g.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char" AND NOT g.attisdropped
    AND d.refclassid OPERATOR(pg_catalog.=) {classes} AND d.refobjid OPERATOR(pg_catalog.=) b.oid
    AND d.refobjsubid OPERATOR(pg_catalog.>) 0 AND d.refobjsubid OPERATOR(pg_catalog.<>) g.attnum
    AND (d.classid OPERATOR(pg_catalog.=) {defaults} AND d.objid OPERATOR(pg_catalog.=) (
        SELECT f.oid FROM pg_catalog.pg_attrdef AS f
        WHERE f.adrelid OPERATOR(pg_catalog.=) b.oid AND f.adnum OPERATOR(pg_catalog.=) g.attnum)
      OR d.classid OPERATOR(pg_catalog.=) {classes} AND d.objid OPERATOR(pg_catalog.=) b.oid
        AND d.objsubid OPERATOR(pg_catalog.=) g.attnum)
    AND s.attrelid OPERATOR(pg_catalog.=) b.oid AND s.attnum OPERATOR(pg_catalog.=) d.refobjsubid
)
SELECT a.oid::pg_catalog.text, n.nspname::pg_catalog.text, a.relname::pg_catalog.text, a.relkind::pg_catalog.text,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(t.attnum, t.attname, y.oid::pg_catalog.int8,
      (SELECT pg_catalog.json_agg(m.source) FROM made AS m
       WHERE m.top OPERATOR(pg_catalog.=) a.oid AND m.name OPERATOR(pg_catalog.=) t.attname),
      NOT e.typtype OPERATOR(pg_catalog.=) ANY ('{{b,e,m,r}}'::pg_catalog."char"[])
        OR e.typname OPERATOR(pg_catalog.=) ANY ('{{hstore,json,jsonb,xml}}'::pg_catalog.name[])))
   FROM pg_catalog.pg_attribute AS t, pg_catalog.pg_type AS d, pg_catalog.pg_type AS y, pg_catalog.pg_type AS e
   WHERE t.attrelid OPERATOR(pg_catalog.=) a.oid AND t.attnum OPERATOR(pg_catalog.>) '0'::pg_catalog.int2
     AND NOT t.attisdropped AND d.oid OPERATOR(pg_catalog.=) t.atttypid
     AND y.oid OPERATOR(pg_catalog.=)
       CASE WHEN d.typbasetype OPERATOR(pg_catalog.=) '0'::pg_catalog.oid THEN d.oid ELSE d.typbasetype END
     AND e.oid OPERATOR(pg_catalog.=)
       CASE WHEN y.typcategory OPERATOR(pg_catalog.=) 'A'::pg_catalog."char" THEN y.typelem ELSE y.oid END
  )::pg_catalog.text,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(m.nspname, p.relname))
   FROM above AS b, pg_catalog.pg_class AS p, pg_catalog.pg_namespace AS m
   WHERE b.child OPERATOR(pg_catalog.=) a.oid AND p.oid OPERATOR(pg_catalog.=) b.parent
     AND m.oid OPERATOR(pg_catalog.=) p.relnamespace)::pg_catalog.text,
  CASE WHEN a.relkind OPERATOR(pg_catalog.=) ANY ('{{v,m}}'::pg_catalog."char"[])
      AND (s.path[1] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
        OR s.path[2] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
          AND s.path[1]::pg_catalog.text OPERATOR(pg_catalog.~) '^pg_temp_'::pg_catalog.text)
    THEN pg_catalog.pg_get_viewdef(a.oid) END
FROM (SELECT pg_catalog.current_schemas(true) AS path) AS s, asked AS a, pg_catalog.pg_namespace AS n
WHERE n.oid OPERATOR(pg_catalog.=) a.relnamespace
LIMIT {limit}"""

# What a generated column is made of hangs on its pg_attrdef, and before 15 on the column itself; these are the object
# ids of pg_class and pg_attrdef, which never change. A child may make its column of others than its parent does, and
# whoever reads the parent reads the child.
_CLASSES, _DEFAULTS = "'1259'::pg_catalog.oid", "'2604'::pg_catalog.oid"

MOST = 1000
"""Rows of an answer; one that has more is none."""

_HURRY = "SET LOCAL lock_timeout = 200; "

_UINT32 = 1 << 32


@dataclass(frozen=True, slots=True)
class Question:
    """Asks about tables with these object ids, and about all with these names, in whatever schema."""

    oids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    hurried: bool = False
    """Whether to give up soon where somebody has a view locked: it may be the very session that waits for this."""

    def sql(self) -> str:
        """One statement whose rows `Catalogue.learn` reads. It means the same under every search path, if
        standard_conforming_strings is on."""
        oids = ",".join(str(oid % _UINT32) for oid in self.oids)
        names = ", ".join(f"'{_quoted(name)}'" for name in self.names)
        return (_HURRY if self.hurried else "") + _SQL.format(
            oids=f"'{{{oids}}}'::pg_catalog.oid[]",
            names=f"ARRAY[{names}]::pg_catalog.name[]",
            classes=_CLASSES,
            defaults=_DEFAULTS,
            limit=MOST + 1,
        )


def _quoted(name: str) -> str:
    return name.replace("\0", "").replace("'", "''")
