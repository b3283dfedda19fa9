"""What a real server answers, masked: the server itself reads it again, in both formats."""

import os
import socket
import struct
from collections.abc import Iterator, Sequence

import pytest

from extproc.protocols.postgres.masks import (
    Catalogue,
    CopyOptions,
    Question,
    copy_columns,
    copy_mask,
    mask_notice,
    named_in,
    origins,
    row_mask,
)
from extproc.protocols.postgres.sql import Column, Origins, read, whole
from extproc.protocols.postgres.wire.frame import Frame, Framer
from extproc.protocols.postgres.wire.report import ErrorResponse
from extproc.protocols.postgres.wire.results import CopyOutResponse, Field, RowDescription
from extproc.protocols.postgres.wire.row import DATA_ROW
from tests.postgres.masks.answers import KNOWN, Value, mask, rows
from tests.support.postgres import ADMIN, Server

BULK = frozenset({DATA_ROW, ord("d")})
ALL = mask("*")


class Wire:
    """The server's own words, for the simplest of clients."""

    def __init__(self, server: Server, database: str = "postgres") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(os.fspath(server.sockets / f".s.PGSQL.{server.port}"))
        body = struct.pack(">I", 196608) + f"user\0{ADMIN}\0database\0{database}\0\0".encode()
        self._socket.sendall(struct.pack(">I", 4 + len(body)) + body)
        self._framer = Framer(1 << 24, BULK)
        self.until_ready()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def until_ready(self) -> list[Frame]:
        """All that comes before the server waits again."""
        found: list[Frame] = []
        while not found or found[-1].kind != ord("Z"):
            found += self._framer.feed(self._socket.recv(1 << 16))
        return found

    def send(self, *messages: tuple[str, bytes], behind: bytes = b"") -> list[Frame]:
        """Say something, and hear the answer. Raises AssertionError for an error."""
        words = b"".join(struct.pack(">cI", k.encode(), 4 + len(b)) + b for k, b in messages)
        self._socket.sendall(words + behind)
        found = self.until_ready()
        for frame in found:
            assert frame.kind != ord("E"), ErrorResponse.decode(frame.body)
        return found

    def error(self, sql: str) -> ErrorResponse:
        """The error that a text of SQL ends with."""
        self._socket.sendall(struct.pack(">cI", b"Q", 5 + len(sql.encode())) + sql.encode() + b"\0")
        return next(ErrorResponse.decode(frame.body) for frame in self.until_ready() if frame.kind == ord("E"))

    def rows(self, sql: str, binary: bool = False, values: Sequence[tuple[int, Value]] = ()) -> tuple[
        tuple[Field, ...], list[Frame]
    ]:  # fmt: skip
        """Columns and rows, with formats that are all the same, of a statement with these values by type."""
        types = struct.pack(f">H{len(values)}I", len(values), *(oid for oid, _ in values))
        counted = (b"\xff" * 4 if v is None else struct.pack(">i", len(v)) + v for _, v in values)
        bind = struct.pack(">HHH", 1, binary, len(values)) + b"".join(counted) + struct.pack(">HH", 1, binary)
        found = self.send(
            ("P", b"\0" + sql.encode() + b"\0" + types),
            ("B", b"\0\0" + bind),
            ("D", b"P\0"),
            ("E", b"\0" + bytes(4)),
            ("S", b""),
        )
        fields = next(RowDescription.decode(frame.body).fields for frame in found if frame.kind == ord("T"))
        return fields, [frame for frame in found if frame.kind == DATA_ROW]


@pytest.fixture
def wire(either_postgres: Server) -> Iterator[Wire]:
    """A connection of the administrator's."""
    connected = Wire(either_postgres, "crm")
    yield connected
    connected.close()


def answer(wire: Wire, question: Question) -> list[list[str | None]]:
    """What the server says about tables."""
    _, frames = wire.rows(question.sql())
    found = rows(b"".join(frame.data for frame in frames))
    return [[None if value is None else value.decode() for value in row] for row in found]


VALUES = {
    "text": "'to jane@example.com'", "varchar": "'jane@example.com'", "bpchar": "'jane@example.com'",
    "name": "'jane@example.com'", "int8": "4111111111111111", "int4": "7", "int2": "7", "float8": "4111111111111111",
    "float4": "1.5", "numeric": "4111111111111111.00", "bool": "true", "date": "'1980-05-06'",
    "timestamptz": "'2026-01-02 03:04:05+00'", "timestamp": "'2026-01-02'", "interval": "'1 day'", "time": "'03:04'",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "inet": "'203.0.113.77'", "cidr": "'203.0.113.0/24'",
    "macaddr": "'3c:22:fb:9a:04:17'", "json": """'{"a": "jane@example.com", "n": 4111111111111111}'""",
    "jsonb": """'{"a": "jane@example.com", "n": 4111111111111111}'""", "xml": "'<a>jane@example.com</a>'",
    "bytea": "'jane@example.com'", "text[]": """array['a,"b', null, 'jane@example.com', '']""",
    "text[][]": "array[['a', 'jane@example.com'], ['c', 'd']]", "int8[]": "array[1, 4111111111111111]",
    "jsonb[]": """array['{"a": "jane@example.com"}'::jsonb]""", "uuid[]": "'{}'", "int4range": "'[1,5)'",
    "numrange": "'[4111111111111111,4111111111111112]'", "tsvector": "'''jane@example.com'':1'", "point": "'(1,2)'",
    "pg_lsn": "'0/16B3748'", "money": "'4111'", "bit": "'1'", "tsquery": "'jane'", "jsonpath": "'$.a'",
    "person": """row('jane@example.com', 4111111111111111, 'a "b", (c)')""", "mood": "'happy'",
    "person[]": """array[row('jane@example.com', 1, 'x')::person]""",
}  # fmt: skip


@pytest.fixture(scope="module")
def types(either_postgres: Server) -> Iterator[Server]:
    """A server with types of its own."""
    either_postgres.sql(
        "CREATE TYPE person AS (email text, card int8, note text); CREATE TYPE mood AS ENUM ('happy');", "crm"
    )
    yield either_postgres
    either_postgres.sql("DROP TYPE person, mood CASCADE", "crm")


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("whole", [False, True], ids=["found", "named"])
def test_the_server_reads_what_was_masked(types: Server, wire: Wire, binary: bool, whole: bool) -> None:
    """Each type's own input function takes its masked values; none of them has what was masked."""
    sql = "SELECT " + ", ".join(f'({value})::{name} AS "{name}"' for name, value in VALUES.items())
    fields, frames = wire.rows(sql, binary)
    masks = [mask(keys=list(VALUES))] if whole else [ALL]
    masking = row_mask(masks, KNOWN, fields, [()] * len(fields))
    assert masking is not None
    (row,) = rows(b"".join(masking.feed(frame) for frame in frames))
    assert len(row) == len(fields)
    for field, value in zip(fields, row, strict=True):
        if value is not None:
            assert b"jane@example" not in value, field
            assert b"4111111111111111" not in value, field
            fields_again, again = wire.rows(f"SELECT $1::{field.name}", binary, [(field.type, value)])
            assert fields_again[0].type == field.type
            assert len(again) == 1
    kept = {field.name for field, value in zip(fields, row, strict=True) if value is not None}
    assert {"text", "json", "jsonb", "xml", "bytea", "text[]", "name"} <= kept
    assert masking.counts


def test_untouched_rows_are_byte_for_byte_the_servers(wire: Wire) -> None:
    """A large result of all usual types with nothing in it."""
    sql = "SELECT i, i::text, i * 1.5, now(), i % 2 = 0, array[i, i], to_jsonb(i), null FROM generate_series(1, 5000) i"
    for binary in (False, True):
        fields, frames = wire.rows(sql, binary)
        masking = row_mask([mask("email", "card")], KNOWN, fields, [()] * len(fields))
        assert masking is not None
        assert b"".join(masking.feed(frame) for frame in frames) == b"".join(frame.data for frame in frames)


def test_a_value_of_ten_megabytes_keeps_its_length(wire: Wire) -> None:
    """It is masked as it comes."""
    sql = "SELECT repeat('lorem ', 1000000) || 'jane@example.com' || repeat(' ipsum', 1000000), 'jane@example.com', 7"
    fields, frames = wire.rows(sql)
    masking = row_mask([ALL], KNOWN, fields, [()] * 3)
    assert masking is not None
    out = b"".join(masking.feed(frame) for frame in frames)
    assert len(out) == sum(len(frame.data) for frame in frames)
    assert rows(out)[0][1:] == [b"*" * 16, b"7"]
    assert b"jane@example.com" not in out


COPIES = [
    ("(FORMAT text)", CopyOptions()),
    ("(FORMAT text, DELIMITER '|', NULL '-')", CopyOptions(delimiter="|", null="-")),
    ("(FORMAT csv, HEADER, FORCE_QUOTE *)", CopyOptions("csv", header=True)),
    ("(FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';')", CopyOptions("csv", ";", None, "'", "\\")),
    ("(FORMAT binary)", CopyOptions("binary")),
]


@pytest.mark.parametrize(("how", "options"), COPIES)
def test_the_server_takes_a_masked_copy_again(wire: Wire, how: str, options: CopyOptions) -> None:
    """COPY FROM with the same options has the same rows, but for what is masked."""
    setup = """CREATE TEMP TABLE given (id int8, email text, note text, doc jsonb, raw bytea);
        INSERT INTO given VALUES (1, 'jane@example.com', E'a\\tb\\n\\\\ "q" ''s'' |;,-', '{"email": 1}', '\\x00ff'),
            (4111111111111111, null, '', null, 'jane@example.com'), (null, '\\.', '\\N', '[]', '');
        CREATE TEMP TABLE taken (LIKE given)"""
    wire.send(("Q", setup.encode() + b"\0"))
    found = wire.send(("Q", f"COPY given TO STDOUT {how}".encode() + b"\0"))
    columns = [("id", 20), ("email", 25), ("note", 25), ("doc", 3802), ("raw", 17)]
    masking = copy_mask([mask("card"), mask(keys=["email"])], KNOWN, columns, [()] * 5, options)
    assert masking is not None
    data = b"".join(masking.feed(frame) for frame in found if frame.kind == ord("d")) + masking.finish()
    back = f"COPY taken FROM STDIN {how}".replace(", FORCE_QUOTE *", "")
    answered = wire.send(("Q", back.encode() + b"\0"), behind=data + b"c\0\0\0\4")
    assert [frame.kind for frame in answered] == [ord("G"), ord("C"), ord("Z")]
    _, taken = wire.rows("SELECT id, email, note, doc, raw FROM taken")
    _, given = wire.rows("SELECT id, email, note, doc, raw FROM given")
    wanted = rows(b"".join(frame.data for frame in given))
    wanted[0][1], wanted[0][3] = b"[masked:key:email]", b'{"email": "[masked:key:email]"}'
    wanted[1][0], wanted[1][1] = None, b"[masked:key:email]"
    wanted[2][1] = b"[masked:key:email]"
    assert rows(b"".join(frame.data for frame in taken)) == wanted


@pytest.mark.parametrize("sql", ["COPY customers TO STDOUT", "COPY customers (id, email, card) TO STDOUT"])
@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_a_copy_of_a_table_is_masked_by_what_the_catalogue_says(wire: Wire, sql: str, form: str) -> None:
    """Names and types of its columns, of which the server says only how many they are."""
    sql = f"{sql} (FORMAT {form})"
    script = read(sql)
    found = wire.send(("Q", sql.encode() + b"\0"))
    response = next(CopyOutResponse.decode(frame.body) for frame in found if frame.kind == ord("H"))
    catalogue = Catalogue(read)
    while question := catalogue.missing_of([one.origins for one in script.results[0] or ()], named_in(script)):
        catalogue.learn(question, answer(wire, question))
    columns, made = copy_columns(script, 0, len(response.columns), catalogue)
    assert all(oid for _, oid in columns)
    masking = copy_mask([mask("card"), mask(keys=["customers.email"])], KNOWN, columns, made, CopyOptions(form))
    assert masking is not None
    data = b"".join(masking.feed(frame) for frame in found if frame.kind == ord("d")) + masking.finish()
    assert data.count(b"[masked:key:customers.email]") == 3
    assert b"@example.com" not in data
    assert masking.counts == {"key:customers.email": 3, "card": 2}


def test_an_error_of_the_server_says_nothing_of_a_row(wire: Wire) -> None:
    """But what the client knows."""
    wire.send(
        ("Q", b"CREATE TEMP TABLE t (email text PRIMARY KEY, n int CHECK (n < 9)); INSERT INTO t VALUES ('Jane')\0")
    )
    sql = "INSERT INTO t SELECT email FROM t"
    found = wire.error(sql)
    masked, counts = mask_notice(found.fields, [mask(keys=["email"])], KNOWN, sql)
    texts = dict(masked)
    assert texts["D"] == "Key (email)=([masked:column]) already exists."
    assert texts["M"] == found.get("M")
    assert texts["C"] == "23505"
    assert counts == {"column": 1}


NOBODY = "''"
EVIL = """CREATE SCHEMA evil;
CREATE FUNCTION evil.no(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.no);
CREATE TABLE part0 (id int, email text) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF part0 FOR VALUES IN (1)"""

EMAIL = Column("public", "customers", "email")
PART = (Column("public", "part1", "email"), Column("public", "part0", "email"))
BUYER = (Column("public", "buyers", "email"), EMAIL)
PATHS: list[tuple[str, Origins]] = [
    ("public", BUYER),
    ("", BUYER),
    ("pg_catalog, evil", BUYER),
    ("evil, pg_catalog, public", None),
]


@pytest.fixture(scope="module")
def evil(either_postgres: Server) -> Iterator[None]:
    """A schema of somebody who would rather have his own operators used, and a table with a partition."""
    either_postgres.sql(EVIL, "crm")
    yield
    either_postgres.sql("DROP SCHEMA evil CASCADE; DROP TABLE part0", "crm")


@pytest.mark.parametrize("temporary", [False, True])
@pytest.mark.parametrize(("path", "view"), PATHS)
def test_the_server_answers_what_the_catalogue_asks(
    evil: None, wire: Wire, path: str, view: Origins, temporary: bool
) -> None:
    """Tables by object id and by name, views with their queries, partitions with their parents, whatever a search path
    has to say; where somebody's own operators could have their say about views, these are unknown."""
    if temporary:
        wire.send(("Q", b"CREATE TEMP TABLE mine (x int)\0"))
    wire.send(("Q", f"SET search_path = {path or NOBODY}\0".encode()))
    sql = "SELECT c.email, lower(b.email), p.email FROM public.customers c, public.buyers b, public.part1 p"
    fields, _ = wire.rows(sql)
    script = read(sql)
    lineage, relations = script.lineage([field.name for field in fields]), named_in(script)
    catalogue = Catalogue(read)
    while question := catalogue.missing(fields, lineage, relations):
        catalogue.learn(question, answer(wire, question))
    found = origins(fields, lineage, catalogue, relations)
    assert tuple(one if one is None else tuple(map(whole, one)) for one in found) == ((EMAIL,), view, PART)
    (buyers,) = catalogue.tables("public", "buyers")
    assert buyers.types == {"name": 25, "email": 25, "total": 1700}


GENERATED = """CREATE TABLE made (email text, name text DEFAULT lower('x'), place int DEFAULT 1,
    upper text GENERATED ALWAYS AS (upper(email)) STORED, pair text GENERATED ALWAYS AS (name || email) STORED,
    fixed text GENERATED ALWAYS AS ('constant') STORED) PARTITION BY LIST (place);
CREATE TABLE made_1 PARTITION OF made FOR VALUES IN (1);
CREATE VIEW of_made AS SELECT pair AS other FROM made"""
PAIR = [("made", "email"), ("made", "name"), ("made", "pair")]
SOURCES = [
    [("made", "name")],
    [("made", "place")],
    [("made", "email"), ("made", "upper")],
    PAIR,
    [("made", "fixed")],
    [*PAIR, *(("made_1", name) for _, name in PAIR)],
    [*PAIR, ("of_made", "other")],
]


def test_a_generated_column_is_what_it_is_made_of(either_postgres: Server, wire: Wire) -> None:
    """Stored ones, and virtual ones, which a newer server computes when they are read."""
    sql = "SELECT m.name, m.place, m.upper, m.pair, m.fixed, o.pair, lower(v.other) FROM made m, made_1 o, of_made v"
    for kind in ("STORED", "VIRTUAL") if either_postgres.major >= 18 else ("STORED",):
        either_postgres.sql(GENERATED.replace("STORED", kind), "crm")
        try:
            fields, _ = wire.rows(sql)
            script = read(sql)
            lineage, relations = script.lineage([field.name for field in fields]), named_in(script)
            catalogue = Catalogue(read)
            while question := catalogue.missing(fields, lineage, relations):
                catalogue.learn(question, answer(wire, question))
            found = origins(fields, lineage, catalogue, relations)
        finally:
            either_postgres.sql("DROP VIEW of_made; DROP TABLE made", "crm")
        assert [sorted((str(one.table), whole(one).name) for one in origin or ()) for origin in found] == SOURCES
