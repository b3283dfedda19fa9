"""What the types of columns are to a mask: by object ids, which every PostgreSQL has the same (pg_type.dat)."""

from enum import Enum, auto

FIRST_OWN = 16384
"""From this object id on, types are a database's own (FirstNormalObjectId)."""

ANY = 0
"""The type of a column that nobody said."""


class Sort(Enum):
    """How values of a type are masked. In TEXT anything may stand; of STRICT what a client reads is no text (numbers,
    dates, addresses), so that a masked one is NULL; OWN are a database's own, of which nothing is known."""

    TEXT = auto()
    STRICT = auto()
    JSON = auto()
    JSONB = auto()
    XML = auto()
    BYTES = auto()
    ARRAY = auto()
    RECORD = auto()
    OWN = auto()


BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID, JSON, XML = 16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 142
CIDR, FLOAT4, FLOAT8, UNKNOWN, MACADDR8, MONEY, MACADDR, INET = 650, 700, 701, 705, 774, 790, 829, 869
BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, NUMERIC = 1042, 1043, 1082, 1083, 1114, 1184, 1700
RECORD, CSTRING, UUID, JSONB = 2249, 2275, 2950, 3802

FRACTIONAL = frozenset({FLOAT4, FLOAT8, NUMERIC})
"""Numbers whose text may have a point or an exponent."""

ARRAYS = {
    143: XML, 199: JSON, 651: CIDR, 775: MACADDR8, 791: MONEY, 1000: BOOL, 1001: BYTEA, 1002: CHAR, 1003: NAME,
    1005: INT2, 1007: INT4, 1009: TEXT, 1014: BPCHAR, 1015: VARCHAR, 1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1028: OID,
    1040: MACADDR, 1041: INET, 1115: TIMESTAMP, 1182: DATE, 1183: TIME, 1185: TIMESTAMPTZ, 1231: NUMERIC,
    1263: CSTRING, 2287: RECORD, 2951: UUID, 3807: JSONB,
}  # fmt: skip
"""Types of arrays, and of what."""

_SORTS = {
    **dict.fromkeys((NAME, TEXT, UNKNOWN, BPCHAR, VARCHAR, CSTRING), Sort.TEXT),
    **dict.fromkeys(ARRAYS, Sort.ARRAY),
    BYTEA: Sort.BYTES,
    JSON: Sort.JSON,
    JSONB: Sort.JSONB,
    XML: Sort.XML,
    RECORD: Sort.RECORD,
    ANY: Sort.OWN,
}


def sort_of(oid: int) -> Sort:
    """How values of this type are masked."""
    return _SORTS.get(oid, Sort.OWN if oid >= FIRST_OWN else Sort.STRICT)
