"""What may be hidden in a text that goes on as it is."""

import json

import pytest

from extproc.app.redaction import redact_record
from extproc.domain.json import JSON
from extproc.masking.bounded import inert, key_block, opaque, open_kinds
from extproc.masking.hiding import for_approvers, for_records
from extproc.masking.redact import redact
from extproc.masking.shipped import knowledge
from extproc.protocols.postgres.sql.covering import for_record
from extproc.protocols.shown import EXCERPT_CHARACTERS, excerpt, hide, hide_json, hide_pairs

KNOWN = knowledge()
BILLS = "DELETE FROM bills WHERE id=4/*password=*/or/**/id>1"
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw"
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "word", "plain"),
    [
        ("4111 1111 1111 1111", True, False),
        ("078-05-1120", True, True),
        ("0a1b2c3d-0a1b-4c3d", True, True),
        ("ghp_abcdef123456", True, True),
        ("bearer abcdef123456", True, False),
        ("eyJhbGci1.eyJz-x.q7Zk", True, True),
        ("hunter2", False, True),
        ("column_name", False, True),
        ("0or1", False, True),
        ("or", False, True),
        ("abcdef12--x", False, False),
        ("abcdef12/*x", False, False),
        ("abcdef12 or 1", False, False),
        ("Tr0ub4dor&3", False, False),
        ("p4ss!w0rd#", False, True),
        ("$(rm)", False, False),
        ("a;b", False, False),
        ("a\u00a0b1234567", False, False),
        ("*/or/**/id>1", False, False),
    ],
)
def test_words(text: str, word: bool, plain: bool) -> None:
    """A number or a word with a digit; and what a field may have as its whole value."""
    assert (inert(text), opaque(text)) == (word, plain)


@pytest.mark.parametrize(
    ("block", "is_key"),
    [
        (f"{BEGIN}\n{LINE}\n{LINE}\nabc=\n{END}", True),
        (f"{BEGIN}\\n{LINE}\\n{END}", True),
        (f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\n{END}", True),
        (f"{BEGIN}\nDROP\nTABLE\nbills\n{END}", False),
        (f"{BEGIN}\n{LINE}\n; DROP TABLE bills\n{END}", False),
        (f"{BEGIN}\n{LINE}", False),
    ],
)
def test_key_blocks(block: str, is_key: bool) -> None:
    """Lines of base64 between the ends, and nothing else."""
    assert key_block(block) is is_key
    assert (redact(block, KNOWN)[0] == "[masked:private-key]") is is_key


def test_kinds_that_take_anything() -> None:
    """Decided by the rules themselves: a company's own are sorted as well."""
    found = open_kinds(KNOWN.engine)
    assert {"password", "secret-assignment", "url-credential", "connection-string", "private-key"} <= found
    assert found.isdisjoint({"card", "ssn", "github-token", "jwt", "email", "iban", "bearer", "basic-auth"})


TEXTS = [
    BILLS,
    "echo password=$(rm${IFS}-rf${IFS}/x1)",
    "postgres://u:x1;DROP/**/TABLE@h/db",
    'password = "or id is not null or true"',
]


@pytest.mark.parametrize("text", TEXTS)
def test_code_that_looks_like_a_value_is_kept(text: str) -> None:
    """In what an approver reads and in records, as text, in JSON, in a form, and at the journal's door."""
    for hiding in (for_approvers(KNOWN), for_records(KNOWN)):
        assert hide(text, hiding) == text
        assert json.loads(hide_json(json.dumps({"sql": text}), hiding)) == {"sql": text}
        assert hide_pairs(f"q={text}", hiding) == f"q={text}"
    document = json.dumps({"sql": text})
    assert excerpt(document, KNOWN, document=True) == document
    record: dict[str, JSON] = {
        "action": {"resource": text, "digest": "d", "summary": {"statement": text, "body": document}}
    }
    assert redact_record(record, KNOWN) == record


def test_a_value_inside_what_is_kept_is_hidden() -> None:
    """A rule that takes more than a value does not save it."""
    text = "password=x1;rm'4111111111111111'"
    assert hide(text, for_records(KNOWN)).endswith("'[masked:card]'")
    assert redact(f"{BILLS} 4111111111111111", KNOWN)[0] == f"{BILLS} [masked:card]"


def test_a_statement_is_not_redacted_twice() -> None:
    """By its tokens when it is told, and not again as a text: `column12` is a name."""
    sql = "SELECT 1 WHERE password=column12x1 -- 4111111111111111"
    told = for_record(sql, KNOWN)
    assert told == "SELECT 1 WHERE password=column12x1 -- [masked:card]"
    body: dict[str, JSON] = {
        "action": {"summary": {"statement": told, "user": "4111111111111111"}},
        "note": "4111111111111111",
    }
    assert redact_record(body, KNOWN) == {
        "action": {"summary": {"statement": told, "user": "[masked:card]"}}, "note": "[masked:card]"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (BILLS, BILLS),
        ("SELECT 4111-1111-1111-1111", "SELECT [masked:card]-[masked:card]-[masked:card]-[masked:card]"),
        ("SELECT 'x' -- é password=x1y2z3w4 or 1", "SELECT 'x' -- é password=[masked:password] or 1"),
        ("SELECT 'password=x1y2z3w4;1'", "SELECT 'password=[masked:password];1'"),
        ("SELECT 'unfinished 4111111111111111", "SELECT 'unfinished [masked:card]"),
        ("SELECT '4111111111111111'," + " 1," * 30_000, "SELECT '…"),
        ("SELECT " + "x, " * 1000, "SELECT " + "x, " * 331 + "…"),
    ],
)
def test_a_record_tells_a_statement(sql: str, told: str) -> None:
    """Values in constants and comments are hidden, and it is cut."""
    assert for_record(sql, KNOWN) == told
    assert len(told) <= EXCERPT_CHARACTERS + 1


def test_hiding_takes_time_in_proportion() -> None:
    """Many values, each found and covered once: as many as the longest text that is shown may have."""
    count = 2000
    text = json.dumps([{"card": 4111111111111111, "password": "*/or/**/id1"}] * count)
    shown = hide_json(text, for_approvers(KNOWN))
    assert (shown.count("[masked:card]"), shown.count("*/or/**/id1")) == (count, count)
