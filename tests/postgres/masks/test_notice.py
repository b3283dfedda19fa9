"""What is masked of errors and notices."""

import pytest

from extproc.domain.mask import Mask
from extproc.protocols.postgres.masks import mask_notice
from tests.postgres.masks.answers import EMAIL, KNOWN, mask

ALL, KEY = mask("*"), mask(keys=["email"])
ADDRESS = EMAIL.decode()
X = "[masked:column]"
SQL = "INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.net')"

TEXTS: list[tuple[str, str, list[Mask], str]] = [
    ("M", f"no such user: {ADDRESS}", [ALL], "no such user: [masked:email]"),
    ("D", f"Key (email)=({ADDRESS}) already exists.", [ALL], "Key (email)=([masked:email]) already exists."),
    ("M", 'column "emial" does not exist', [ALL], 'column "emial" does not exist'),
    ("D", "Key (email)=(Jane) already exists.", [KEY], f"Key (email)=({X}) already exists."),
    ("D", "Key (a, b)=(1), (2) x) already exists.", [KEY], f"Key (a, b)=({X}) already exists."),
    ("D", "Key (email)=(ada@example.net) already exists.", [KEY], f"Key (email)=({X}) already exists."),
    ("D", "Failing row contains (1, Jane, null).", [KEY], f"Failing row contains ({X})."),
    ("D", "Failing row contains (Jane).", [KEY], f"Failing row contains ({X})."),
    ("M", 'invalid input syntax for type integer: "Jane"', [KEY], f'invalid input syntax for type integer: "{X}"'),
    ("M", 'invalid input syntax for type integer: "Ada"', [KEY], f'invalid input syntax for type integer: "{X}"'),
    ("M", 'invalid input syntax for type integer: "d"', [KEY], f'invalid input syntax for type integer: "{X}"'),
    ("M", "syntaxe en entrée invalide : « Jane »", [KEY], f"syntaxe en entrée invalide : «{X}»"),
    ("M", "ungültige Eingabesyntax: „Jane“", [KEY], f"ungültige Eingabesyntax: „{X}“"),
    ("M", 'violates constraint "customers_key"', [KEY], 'violates constraint "customers_key"'),
    ("W", 'JSON data, line 1: {"email":Jane', [KEY], f"JSON data, line 1: {X}"),
    ("W", 'COPY customers, line 1: "Jane\tx"', [KEY], f"COPY customers, line 1: {X}"),
    ("M", "value too long for type character varying(10)", [KEY], f"value too long for type character varying({X})"),
    (
        "M",
        "requested character too large for encoding: 1200097",
        [KEY],
        f"requested character too large for encoding: {X}",
    ),
    ("M", "index 97 out of valid range, 0..2", [KEY], f"index {X} out of valid range, {X}"),
    ("D", "date field value out of range: 97-99-01", [KEY], f"date field value out of range: {X}"),
    ("q", "SELECT 'Jane'", [KEY], f"SELECT '{X}'"),
    ("H", "Say 'Jane''s' or \"a\"\"b\".", [KEY], f"Say '{X}\"."),
    ("M", 'invalid input syntax for type integer: ""Jane""', [KEY], f'invalid input syntax for type integer: "{X}"'),
    (
        "M",
        'invalid input syntax for type integer: "{"a": "Jane"}"',
        [KEY],
        f'invalid input syntax for type integer: "{X}"',
    ),
    ("M", 'relation "a"Jane"b" does not exist', [KEY], f'relation "{X}" does not exist'),
    (
        "M",
        'invalid byte sequence for encoding "UTF8": 0xe1 0x75',
        [KEY],
        f'invalid byte sequence for encoding "{X}": {X} {X}',
    ),
]


@pytest.mark.parametrize(("code", "text", "masks", "wanted"), TEXTS)
def test_words_that_may_have_values_are_masked(code: str, text: str, masks: list[Mask], wanted: str) -> None:
    """What the client said itself, and names of objects that are fields of their own, may stay."""
    fields = [("S", "ERROR"), ("C", "23505"), (code, text), ("n", "customers_key")]
    found, counts = mask_notice(fields, masks, KNOWN, SQL)
    assert found == (("S", "ERROR"), ("C", "23505"), (code, wanted), ("n", "customers_key"))
    assert bool(counts) is (wanted != text)


def test_what_somebodys_function_says_is_masked_whole_where_columns_are_named() -> None:
    """Nobody can say which of its words are values."""
    fields = [("C", "P0001"), ("M", "Jane is here"), ("D", "and more"), ("R", "exec_stmt_raise")]
    wanted = (("C", "P0001"), ("M", X), ("D", X), ("R", "exec_stmt_raise"))
    assert mask_notice(fields, [KEY], KNOWN, SQL) == (wanted, {"column": 2})
    assert mask_notice(fields, [ALL], KNOWN, SQL) == (tuple(fields), {})
    assert mask_notice(fields, [KEY], KNOWN, "DO $$ RAISE 'Jane is here' $$") == (wanted, {"column": 2})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('invalid input syntax for type integer: "Ada"', 'invalid input syntax for type integer: "Ada"'),
        ('column "email" does not exist', 'column "email" does not exist'),
        ('invalid input syntax for type integer: "d"', f'invalid input syntax for type integer: "{X}"'),
    ],
)
def test_what_was_found_in_the_statement_itself_is_told(text: str, wanted: str) -> None:
    """Such an error has a position, and was raised before a row was read: a list of guesses in it tells nothing."""
    found, _ = mask_notice([("C", "22P02"), ("M", text), ("P", "8")], [KEY], KNOWN, SQL)
    assert dict(found)["M"] == wanted


def test_codes_and_names_never_change() -> None:
    """Whatever they look like."""
    fields = [(code, ADDRESS) for code in "SVCPpstcdnFLR"]
    assert mask_notice(fields, [ALL, KEY], KNOWN, None) == (tuple(fields), {})


def test_nothing_is_masked_where_nothing_is_asked_for() -> None:
    """The fields are as they were."""
    fields = [("M", ADDRESS), ("D", f"Key (email)=({ADDRESS})")]
    assert mask_notice(fields, [], KNOWN, None) == (tuple(fields), {})
    request = Mask("p", ("*",), ("email",), KEY.operator, ("request",))
    assert mask_notice(fields, [request], KNOWN, None) == (tuple(fields), {})


def test_names_that_somebodys_function_says_are_words() -> None:
    """RAISE takes any text for them, and none of them is a reason to let another one be."""
    fields = [("C", "P0001"), ("M", "Jane"), ("c", ADDRESS), ("n", "Jane"), ("R", "exec_stmt_raise")]
    wanted = (("C", "P0001"), ("M", X), ("c", X), ("n", X), ("R", "exec_stmt_raise"))
    assert mask_notice(fields, [KEY], KNOWN, SQL) == (wanted, {"column": 3})
    assert mask_notice(fields, [ALL], KNOWN, SQL)[0][2] == ("c", "[masked:email]")


def test_lines_of_an_xml_document_are_masked() -> None:
    """The detail of an error has them as they are."""
    fields = (("C", "2200M"), ("M", "invalid XML document"), ("D", "line 1: Start tag expected\nJane\n^"))
    assert mask_notice(fields, [KEY], KNOWN, None)[0][2] == ("D", X)


def test_numbers_of_objects_are_masked_where_a_row_may_have_told_them() -> None:
    """An error that was found in the statement has those that stand there."""
    fields = (("C", "42P01"), ("M", "relation with OID 99 does not exist"))
    assert mask_notice(fields, [KEY], KNOWN, None)[0][1] == ("M", f"relation with OID {X} does not exist")
    assert mask_notice((*fields, ("P", "8")), [KEY], KNOWN, "SELECT 99")[0][1] == fields[1]
