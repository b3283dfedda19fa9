"""What records say of statements: the same members whatever became of them, and no value that is not for them."""

from typing import Any

import pytest

from extproc.domain.mask import Mask, Operator
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.plan import Knowledge
from extproc.masking.shipped import knowledge
from extproc.protocols.postgres import summary
from extproc.protocols.postgres.sql import read
from extproc.protocols.postgres.summary import MOST_CHARACTERS, MOST_TABLES, MOST_VALUES, Told, tables_of
from extproc.protocols.postgres.wire.frontend import Bind, Execute, FunctionCall, Parse, Query, Sync
from tests.postgres.session.playbook import Play, allowed, blocked

CARD, KEY, SECRET = "4111 1111 1111 1111", b"k" * 32, "correct-horse-battery-staple"
KNOWN = Knowledge(knowledge().engine, Fingerprints(KEY, fingerprints_of(SECRET.encode(), "", KEY)), KEY)
HIDDEN = "[masked:column]"


def mask(*keys: str) -> Mask:
    """Policy governs these columns."""
    return Mask("test", (), keys, Operator.REDACT, ("response",))


def told(sql: str, *values: Any, keys: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """Statement and values as a record has them, under a decision that governs `keys`."""
    asked = Told({}, KNOWN, sql, values)
    said = asked.under(asked.document(), (mask(*keys),) if keys else ())
    return said["statement"], said["values"]


@pytest.mark.parametrize(
    ("messages", "verb"),
    [
        ((Query("SELECT 1"),), "SELECT"),
        ((Parse("", "SELECT $1"), Bind("", "", (), (b"1",)), Execute(""), Sync()), "SELECT"),
        ((Parse("s", "SELECT $1"), Sync()), "PREPARE"),
        ((Query("DROP TABLE t"),), "DROP"),
    ],
)
def test_every_statement_has_the_same_members(messages: tuple[object, ...], verb: str) -> None:
    """Granted or blocked: it is told before anybody knows; so is what can't be read and what is never let through."""
    for rule in (lambda _: allowed(), lambda a: allowed() if a.verb == "CONNECT" else blocked()):
        play = Play(rule=rule).opened()
        play.says(*messages)
        assert play.actions[-1].verb == verb
        assert set(play.actions[-1].summary) == {
            "database", "user", "role", "search_path", "transaction", "application", "phase",
            "tables", "statement", "values",
        }  # fmt: skip


@pytest.mark.parametrize("message", [Query("SELEC 1"), Parse("", "SELEC 1"), FunctionCall(1, (), (), 0)])
def test_what_nobody_decided_has_them_as_well(message: object) -> None:
    """What can't be parsed, and what is never let through."""
    play = Play().opened()
    play.says(Query("SELECT 1"))
    wanted = set(play.actions[-1].summary)
    play = Play().opened()
    play.says(message, Sync())
    (refused,) = play.refused
    assert set(refused.summary) == wanted
    assert refused.summary["phase"] == ("prepare" if isinstance(message, Parse) else "execute")
    assert refused.summary["role"] == "app"


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", ()),
        ("INSERT INTO a SELECT * FROM s.b", ("a", "s.b")),
        ("TRUNCATE a, b", ("a", "b")),
        ("DROP VIEW v; ALTER TABLE t ADD x int; DROP ROLE r", ("v", "t")),
        ("WITH c AS (SELECT * FROM a) SELECT * FROM c", ("a",)),
    ],
)
def test_tables_are_those_that_it_is_about(sql: str, tables: tuple[str, ...]) -> None:
    """Read, written or defined; a name of its own is none."""
    assert tables_of(read(sql)) == tables


VALUES = [
    (f"SELECT '{CARD}'", (), (), ("SELECT '[masked:card]'", [])),
    (f"SELECT '{SECRET}'", (), (), ("SELECT '[masked:credential]'", [])),
    ("SELECT $1, $2", (CARD, None), (), ("SELECT $1, $2", ["[masked:card]", None])),
    ("SELECT $1", (SECRET,), (), ("SELECT $1", ["[masked:credential]"])),
    ("SELECT $1", ({"bytes": 9, "why": "binary"},), (), ("SELECT $1", [{"bytes": 9, "why": "binary"}])),
    (
        "UPDATE t SET password = $1, x = 'y' WHERE id = $2",
        ("hunter2", "7"),
        (),
        ("UPDATE t SET password = $1, x = 'y' WHERE id = $2", [HIDDEN, "7"]),
    ),
    ("CREATE ROLE r PASSWORD 'hunter2'", (), (), (f"CREATE ROLE r PASSWORD '{HIDDEN}'", [])),
    ("UPDATE t SET pay = $1 WHERE id = 7", ("5",), (), ("UPDATE t SET pay = $1 WHERE id = 7", ["5"])),
    ("UPDATE t SET pay = $1 WHERE id = 7", ("5",), ("Pay",), ("UPDATE t SET pay = $1 WHERE id = 7", [HIDDEN])),
    ("UPDATE t SET PAY = 5 WHERE id = 7", (), ("pay",), ("UPDATE t SET PAY = '[masked:column]' WHERE id = 7", [])),
    ("SELECT 1 FROM t WHERE ssn = $1", ("219099998",), (), ("SELECT 1 FROM t WHERE ssn = $1", ["[masked:ssn]"])),
    ("SELECT 1 FROM t WHERE other = $1", ("219099998",), (), ("SELECT 1 FROM t WHERE other = $1", ["219099998"])),
    ("UPDATE t SET pay = $1", (None,), ("pay",), ("UPDATE t SET pay = $1", [None])),
    ("SELEC pay 'x'", ("5",), ("pay",), (f"SELEC pay '{HIDDEN}'", [HIDDEN])),
    ("SELECT pay FROM t WHERE id = $1", ("5",), ("pay",), ("SELECT pay FROM t WHERE id = $1", ["5"])),
    ("UPDATE t SET pay = $1", ("5",), ("hr.t.pay",), ("UPDATE t SET pay = $1", [HIDDEN])),
    ("INSERT INTO t VALUES ($1, 'x')", ("5",), (), ("INSERT INTO t VALUES ($1, 'x')", ["5"])),
    ("INSERT INTO t VALUES ($1, 'x')", ("5",), ("pay",), ("INSERT INTO t VALUES ($1, '[masked:column]')", [HIDDEN])),
    ("INSERT INTO t (id) VALUES ($1)", ("5",), ("pay",), ("INSERT INTO t (id) VALUES ($1)", ["5"])),
    ("SELECT f($1, $2)", ('{"pay": 5}', "payed"), ("pay",), ("SELECT f($1, $2)", [HIDDEN, "payed"])),
    ("SELECT f($1)", ({"bytes": 9, "why": "binary"},), ("pay",), ("SELECT f($1)", [{"bytes": 9, "why": "binary"}])),
]


@pytest.mark.parametrize(("sql", "values", "keys", "wanted"), VALUES)
def test_values_are_masked_by_what_they_are_and_what_they_are_called(
    sql: str, values: tuple[Any, ...], keys: tuple[str, ...], wanted: tuple[str, list[Any]]
) -> None:
    """By kind, by fingerprint, by names like those of secrets, and by the columns that policy governs."""
    assert told(sql, *values, keys=keys) == wanted


def test_a_text_is_looked_through_once() -> None:
    """For the same columns: statements run over and over."""
    sql = "UPDATE t SET pay = $1 WHERE id = $2 AND 'once' = 'once'"
    assert told(sql, "5", "6", keys=("pay",))[1] == [HIDDEN, "6"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "cover", None)
        assert told(sql, "7", "8", keys=("pay",))[1] == [HIDDEN, "8"]
        with pytest.raises(TypeError):
            told(sql, "7", "8", keys=("id",))


def test_what_nobody_decided_is_told_under_the_connections_masks() -> None:
    """A text that can't be read may have values of governed columns, too."""
    play = Play(rule=lambda _: allowed(mask("pay"))).opened()
    play.says(Query("SELEC pay 'x'"))
    (refused,) = play.refused
    assert refused.summary["statement"] == f"SELEC pay '{HIDDEN}'"


def test_what_is_told_is_bounded() -> None:
    """Values and tables are counted beyond so many; a long text with a name in it that is governed is left out."""
    tables = tuple(map(str, range(MOST_TABLES + 3)))
    said: Any = Told({}, KNOWN, "SELECT", ["x"] * (MOST_VALUES + 2), tables).document()
    assert (said["values"][-1], len(said["values"])) == ("… 2 more", MOST_VALUES + 1)
    assert (said["tables"][-1], len(said["tables"])) == ("… 3 more", MOST_TABLES + 1)
    long: Any = Told({"search_path": "a" * 1000, "role": None}, KNOWN, "SELECT").document()
    assert (long["search_path"], long["role"]) == ("a" * MOST_CHARACTERS + "…", None)
    assert tables_of(read(f"DROP TABLE {'t' * 100}")) == ("t" * 63,)
    assert told("SELECT password FROM t --" + "x" * (1 << 17), "a") == (HIDDEN, [HIDDEN])
