"""`holdpoint masking`, as people and programs use it."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from extproc.cli import _masking_explain, _masking_input, _masking_run, main
from extproc.cli._masking_list import as_yaml, checks, folded
from extproc.domain.mask import Operator
from extproc.masking.rules import shipped
from extproc.masking.rules.reading import expand, read
from tests.masking.streams import RULES

KINDS = ("card", "ssn", "email", "iban", "passport", "phone", "jwt", "bearer")
TEXT = "mail jane@example.com, card 4111 1111 1111 1111\n"
DOCUMENT = '{"mail":"jane@example.com","n":[1,{"ssn":"219-09-9998"}],"customer":{"no":7}}'
OURS = """\
rules:
  - id: acme-customer
    kind: acme-customer
    family: identity
    about: Customer number of ACME
    pattern: 'KD-\\d{4}-\\d{4}-\\d'
    check: luhn
    positive: ['KD-4711-0815-9']
    negative: ['KD-4711-0815-8', 'KD-4711-0815']
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """The command, in a folder of its own, with some of the shipped rules; gives its code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDPOINT_CONFIG", raising=False)
    some = tuple(rule for rule in RULES if rule.kind in KINDS)
    monkeypatch.setattr(shipped, "rules", lambda: some)
    (tmp_path / "ours.yaml").write_text(OURS)

    def go(*words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        piped = SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(stdin)), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", piped)
        code = main(["masking", *words])
        out, err = capsysbinary.readouterr()
        return code, out.decode("utf-8", "surrogateescape"), err.decode()

    return go


# run


def test_what_comes_in_is_masked_and_counted(run: Run) -> None:
    """On stdout the text, on stderr how much; with --quiet nothing there."""
    masked = "mail [masked:email], card [masked:card]\n"
    assert run("run", stdin=TEXT.encode()) == (0, masked, "masked: 1 card, 1 email\n")
    assert run("run", "--quiet", stdin=TEXT.encode()) == (0, masked, "")
    assert run("run", "--kind", "contact", stdin=TEXT.encode())[2] == "masked: 1 email\n"
    assert run("run", stdin=b"") == (0, "", "masked: nothing\n")
    assert run("run", "--rules", "ours.yaml", stdin=b"KD-4711-0815-9")[1] == "[masked:acme-customer]"


@pytest.mark.parametrize(
    ("operator", "mail", "member"),
    [
        (Operator.REDACT, "[masked:email]", '"mail":"[masked:email]",'),
        (Operator.PARTIAL, "***********e.com", '"mail":"***********e.com",'),
        (Operator.LENGTH, "****************", '"mail":"****************",'),
        (Operator.NULL, "[masked:email]", '"mail":null,'),
        (Operator.DROP, "[masked:email]", ""),
    ],
)
def test_each_operator(run: Run, tmp_path: Path, operator: Operator, mail: str, member: str) -> None:
    """In text and in JSON."""
    (tmp_path / "d.json").write_text(DOCUMENT)
    words = ("run", "--kind", "email", "--operator", operator)
    assert run(*words, stdin=TEXT.encode())[1] == TEXT.replace("jane@example.com", mail)
    assert run(*words, "d.json")[1] == DOCUMENT.replace('"mail":"jane@example.com",', member)


def test_hashes_can_be_compared_with_a_key(run: Run, tmp_path: Path) -> None:
    """With the key of a file, derived as a gateway does, each run gives the same; without one none does."""
    key = b"k" * 40
    (tmp_path / "mask.key").write_bytes(key)
    words = ("run", "--kind", "email", "--operator", "hash")
    once = run(*words, "--hash-key", "mask.key", stdin=b"jane@example.com")
    state = hashlib.blake2b(
        b"jane@example.com",
        digest_size=8,
        key=hashlib.blake2b(key, digest_size=32).digest(),
        person=b"holdpoint-mask",
    )
    assert once == (0, f"[masked:email:{state.hexdigest()}]", "masked: 1 email\n")
    first, second = (run(*words, stdin=b"jane@example.com") for _ in range(2))
    assert first[1] != second[1]
    assert first[2].startswith("hashes of this run can't be compared with others")


@pytest.mark.parametrize(
    ("name", "data", "out", "said"),
    [
        ("a.json", DOCUMENT, '"mail":"[masked:email]"', "read as application/json, by its name"),
        ("a.NDJSON", '{"a":"\\u0040"}\n{"a":"jane\\u0040example.com"}\n', "[masked:email]", "application/x-ndjson"),
        ("a.csv", "name,mail\nx,jane@example.com\n", "x,[masked:email]", "read as text/csv"),
        ("a.xml", "<a>jane@example.com</a>", "<a>[masked:email]</a>", "read as application/xml"),
        ("a.html", "<p>jane@example.com</p>", "<p>[masked:email]</p>", "read as text/html"),
        ("a.log", "jane@example.com", "[masked:email]", "masked: 1 email\n"),
        ("a.bin", "\0jane@example.com\0", "\0" + "*" * 16 + "\0", "by its NUL bytes"),
    ],
)
def test_the_type_is_told_by_the_file(run: Run, tmp_path: Path, name: str, data: str, out: str, said: str) -> None:
    """And that it was is said, but for text."""
    (tmp_path / name).write_text(data)
    code, masked, err = run("run", name)
    assert code == 0
    assert out in masked
    assert said in err


def test_a_type_that_is_named_counts(run: Run, tmp_path: Path) -> None:
    """Whatever the file is called."""
    (tmp_path / "a.json").write_text("ssn 219-09-9998")
    assert run("run", "--type", "text/plain", "a.json") == (0, "ssn [masked:ssn]", "masked: 1 ssn\n")


def test_names_are_masked_whole(run: Run, tmp_path: Path) -> None:
    """By --key, beside what is found."""
    (tmp_path / "a.json").write_text(DOCUMENT)
    masked = run("run", "--key", "customer", "--quiet", "a.json")[1]
    assert json.loads(masked)["customer"] == "[masked:key:customer]"
    assert json.loads(masked)["mail"] == "[masked:email]"


@pytest.mark.parametrize(
    ("words", "stdin", "out", "said"),
    [
        (["gone.json"], b"", "", "gone.json: can't be read (No such file or directory)"),
        (["."], b"", "", ".: can't be read (Is a directory)"),
        (["--type", "text/plain; charset=utf-16"], b"a", "", "--type: a body in 'utf-16' can't be inspected"),
        (["--type", "application/json"], b'{"a": 1, "b" 2}', "", "malformed JSON"),
        (["--type", "application/json"], b'{"a": 1}\n{"a": "jane@example.com", "b": [1',
         '{"a": 1}\n{"a": "[masked:email]", "b": [',
         "stopped after 39 bytes were written; --lenient masks as text what can't be read"),
        (["--operator", "redct"], b"", "", "--operator: there is no operator 'redct'; did you mean \"redact\"?"),
        (["--kind", "emial"], b"", "", "--kind: there is no kind or family 'emial'; did you mean \"email\"?"),
        (["--kind", "jwt-token-x"], b"", "", "--kind: there is no kind or family"),
        (["--kind", "us-ssn"], b"", "", "--kind: 'us-ssn' is a rule; its kind is 'ssn'"),
        (["--kind", "health"], b"", "", "there is nothing to mask"),
        (["--key", "x" * 300], b"", "", "--key: 'xxxxxxxxxxxxxxxxxxxx' has 300 characters; a name has 1 to 128"),
        (["--key", ""], b"", "", "--key: '' has 0 characters; a name has 1 to 128"),
        (["--kind", "acme-customer"], b"", "", "(rules of your own: --rules or --config)"),
        (["--config", "gone.yaml"], b"", "", "gone.yaml: there is no such file"),
        (["--hash-key", "k"], b"", "", "--hash-key: is for --operator hash"),
        (["--hash-key", "k", "--operator", "hash"], b"", "", "k: can't be read"),
        (["--hash-key", "short", "--operator", "hash"], b"", "", "short: 3 bytes are too few for a key"),
        (["--json", "--lenient"], b"", "", "--json says where values are and masks nothing"),
        (["--rules", "gone.yaml"], b"", "", "gone.yaml: can't be read"),
        ([], b"\x1f\x8b\x08", "", "this is gzip; decode it first, as `zcat` does"),
        ([], b"\xff\xfea\0", "", "this is UTF-16"),
    ],
)  # fmt: skip
def test_what_can_not_be_masked_ends_with_2(
    run: Run, tmp_path: Path, words: list[str], stdin: bytes, out: str, said: str
) -> None:
    """It says why, and writes nothing that was not masked."""
    (tmp_path / "short").write_bytes(b"abc")
    code, written, err = run("run", *words, stdin=stdin)
    assert (code, written) == (2, out)
    assert said in err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--operator", "redct"),
        ("run", "--hash-key", "k"),
        ("run", "--json", "--lenient"),
        ("run", "--type", "text/plain; charset=utf-16"),
        ("run", "--kind", "emial"),
        ("explain", "--rule", "emial", "-"),
    ],
)
def test_mistakes_are_said_before_anything_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Nobody types, or waits for a pipe, in vain."""

    read: list[bool] = []

    def pieces(*_: object) -> Iterator[bytes]:
        read.append(True)
        yield b""

    for module in (_masking_run, _masking_explain):
        monkeypatch.setattr(module, "pieces", pieces)
    code, out, err = run(*words)
    assert (code, out, read) == (2, "", [])
    assert "unexpected" not in err


def test_a_configuration_counts_where_it_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only there: that of the folder, or of the environment, may be broken."""
    (tmp_path / "holdpoint.yaml").write_text("broken: [")
    monkeypatch.setenv("HOLDPOINT_CONFIG", "holdpoint.yaml")
    assert run("run", stdin=b"jane@example.com")[:2] == (0, "[masked:email]")
    assert run("run", "--config", "holdpoint.yaml", stdin=b"jane@example.com")[:2] == (2, "")


@pytest.mark.parametrize("words", [("run",), ("explain", "-")])
def test_a_closed_stdin_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """As `<&-` leaves it."""
    monkeypatch.setattr(_masking_input, "sys", SimpleNamespace(stdin=None))
    assert run(*words) == (2, "", "stdin is closed; name a file instead, or give it something to read\n")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_full_disk_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With how much is there."""
    with Path("/dev/full").open("wb") as full, _started(tmp_path, "run", *words, stdout=full) as process:
        _, err = process.communicate(TEXT.encode())
    said = b"stdout: can't be written (No space left on device); only the first 0 bytes are sure to be there\n"
    assert (process.returncode, err) == (2, said)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_all_is_written_where_little_is_taken_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As an unbuffered stdout may take it."""
    whole = run("run", *words, stdin=TEXT.encode())[1]
    taken: list[bytes] = []

    def write(data: bytes) -> int:
        taken.append(data[:3])
        return len(taken[-1])

    stdout = SimpleNamespace(buffer=SimpleNamespace(write=write, flush=lambda: None))
    monkeypatch.setattr(_masking_run, "sys", SimpleNamespace(stdout=stdout, stderr=sys.stderr))
    run("run", *words, stdin=TEXT.encode())
    assert b"".join(taken).decode() == whole


def test_malformed_bodies_as_text(run: Run) -> None:
    """Where that is asked for."""
    broken = b'{"a": jane@example.com}'
    assert run("run", "--lenient", "--type", "application/json", stdin=broken)[:2] == (0, '{"a": [masked:email]}')


def test_places(run: Run) -> None:
    """A line of JSON for each value, with no part of it; of a value that swallows much one."""
    code, out, err = run("run", "--json", "--key", "pin", stdin=f"{TEXT}é pin=77 +".encode())
    assert (code, err) == (0, "found: 1 card, 1 email, 1 key:pin\n")
    told = [json.loads(line) for line in out.splitlines()]
    assert [(t["kind"], t["start"], t["end"]) for t in told] == [
        ("email", 5, 21),
        ("card", 28, 47),
        ("key:pin", 55, 57),
    ]
    assert "jane" not in out
    header = "eyJhbGciOiJIUzI1NiJ9"
    token = f"Bearer {header}.{'a' * 100_000}.x ok".encode()
    out = run("run", "--json", stdin=token)[1]
    assert [(t["start"], t["end"], t["also"]) for t in map(json.loads, out.splitlines())] == [
        (0, len(token) - 3, ["jwt"])
    ]


def _started(tmp_path: Path, *words: str, stdout: int | BinaryIO = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("HOLDPOINT_CONFIG", None)
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "extproc.cli", "masking", *words]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=pipe, stdout=stdout, stderr=pipe)


@pytest.mark.parametrize(
    ("words", "lines", "counted"),
    [
        ((), [b"mail [masked:email], card [masked:card]\n"], b"masked until then: 2 card, 2 email\n"),
        (("--json", "--kind", "ssn", "--kind", "email"), [b"email"], b"found until then: 2 email\n"),
    ],
)
def test_lines_come_as_they_go_and_an_interrupt_is_no_accident(
    tmp_path: Path, words: tuple[str, ...], lines: list[bytes], counted: bytes
) -> None:
    """A line is out before the next one comes; Ctrl-C ends with 130 and what was counted."""
    with _started(tmp_path, "run", *words) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdin.write(TEXT.encode())
            process.stdin.flush()
            for line in lines:
                assert line in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == counted


def test_a_reader_that_leaves_is_no_accident(tmp_path: Path) -> None:
    """As behind `| head -1`."""
    (tmp_path / "long.txt").write_text(TEXT * 20_000)
    with _started(tmp_path, "run", "long.txt") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"mail [masked:email], card [masked:card]\n"
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


# explain


EXPLAINED = """\
card 4111 1111 1111 1112 of jane@example.com
                            ^~~~~~~~~~~~~~~~

found
  jane@example.com  email 0.95  at 28-44
      rule email: its shape, and `email` accepts it

not found
  4111 1111 1111 1112  at 5-24
      refused by its check: card (card: first digits and length as an issuer has them, and Luhn), card-after-word
        (card_named: 12 to 19 digits that pass Luhn, and no clock)
"""


def test_what_is_found_and_what_nearly_is(run: Run) -> None:
    """Under the text what is found; then each place that has the shape of a value."""
    code, out, _ = run("explain", "--kind", "email", "--kind", "card", "card 4111 1111 1111 1112 of jane@example.com")
    assert code == 0
    assert out.startswith(EXPLAINED)


def test_what_names_a_value_and_what_else_is_in_it(run: Run) -> None:
    """The mask has one name; others are counted."""
    out = run("explain", "é Bearer eyJhbGciOiJIUzI1NiJ9.e30.x")[1]
    text, marks, *rest = out.splitlines()
    assert (text[2:], marks) == ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "  ^" + "~" * 32)
    assert "  Bearer eyJhbGciOiJIUzI1NiJ9.e30.x  bearer 0.70  at 3-36" in rest
    assert "      counted in it, too: jwt" in rest
    assert any(line.startswith("      seen by: jwt (jwt 0.97; at 10-36)") for line in rest)


def test_the_name_of_a_field_is_explained(run: Run) -> None:
    """For which rules it is context."""
    code, out, _ = run("explain", "--name", "customerSsn", "219099998")
    assert code == 0
    assert "the field's name 'customerSsn' is context for us-ssn" in out
    assert "rule us-ssn-in-context: the name of its field is context, and `ssn` accepts it" in out
    assert run("explain", "--name", "colour", "219099998")[1].count("is context for no rule") == 1


ONE_RULE = """\
acme-customer  acme-customer, Customer number of ACME
  shape: KD-\\d{4}-\\d{4}-\\d
  check: luhn: Luhn over the digits of the candidate

- 1-15  KD-4711-0815-9
    acme-customer (rule acme-customer): touches its neighbour: 'X' stands on its left, which may not be of [0-9A-Za-z]
"""


def test_one_rule_is_explained_whole(run: Run) -> None:
    """Its shape, its check, and what it sees, or how far it comes."""
    words = ("explain", "--rules", "ours.yaml", "--rule", "acme-customer")
    assert run(*words, "XKD-4711-0815-9") == (1, ONE_RULE, "")
    assert run(*words, "a KD-4711-081x")[1].endswith(
        "no such shape: nothing in the text has it\n  the longest beginning of it: KD-4711-081  at 2-13, then 'x'\n"
    )
    assert run(*words, "KD-4711-0815-9")[0] == 0
    assert "did you mean" in run("explain", "--rule", "us-sn", "x")[2]


def test_all_candidates(run: Run) -> None:
    """For whoever wants them; as JSON, too."""
    few = run("explain", "card 4111 1111 1111 1112 and more")[1]
    out = run("explain", "--all", "card 4111 1111 1111 1112 and more")[1]
    assert "left out: --all has them" in few
    assert out.count("(rule ") > few.count(" (")
    told: dict[str, Any] = json.loads(run("explain", "--json", "ssn 219-09-9998")[1])
    assert [(s["kind"], s["start"], s["end"]) for s in told["spans"]] == [("ssn", 4, 15)]
    assert any(c["rule"] == "us-ssn" and c["verdict"] == "found" for c in told["candidates"])


@pytest.mark.parametrize(
    ("stdin", "code", "first"),
    [
        (b"ssn 219-09-9998\n", 0, "ssn 219-09-9998"),
        (b"\x1b[2J 219-09-9998", 0, "<U+001B>[2J 219-09-9998"),
        (b"\xff 219-09-9998", 0, "<U+DCFF> 219-09-9998"),
        (b"two\nlines", 1, "nothing is found"),
        (b"", 1, "nothing is found"),
    ],
)
def test_a_text_from_stdin(run: Run, stdin: bytes, code: int, first: str) -> None:
    """Shown so that no terminal obeys it."""
    got, out, _ = run("explain", "--kind", "ssn", "-", stdin=stdin)
    assert (got, out.splitlines()[0]) == (code, first)


# test


def test_rules_that_keep_their_cases(run: Run) -> None:
    """Exit code 0, and how many there are."""
    assert run("test", "ours.yaml") == (0, "1 rule, 3 cases, no failures\n", "")
    assert json.loads(run("test", "--json", "ours.yaml")[1]) == {"rules": 1, "cases": 3, "failures": [], "advice": []}


def test_rules_that_do_not(run: Run, tmp_path: Path) -> None:
    """Exit code 1, and why; notes come beside."""
    (tmp_path / "ours.yaml").write_text(OURS.replace("['KD-4711-0815-9']", "['KD-4711-0815-7']"))
    code, out, _ = run("test", "ours.yaml")
    assert (code, out.splitlines()[-1]) == (1, "1 rule, 3 cases, 1 failure")
    assert out.startswith("FAIL  acme-customer: 'KD-4711-0815-7': a positive case, and nothing is found in it")
    (tmp_path / "ours.yaml").write_text(OURS.replace(", 'KD-4711-0815'", "").replace("    check: luhn\n", ""))
    assert run("test", "ours.yaml")[0] == 1
    (tmp_path / "none.yaml").write_text("rules: []\n")
    assert run("test", "none.yaml") == (0, "note  there is no rule in it\nno rules, no cases, no failures\n", "")
    (tmp_path / "broad.yaml").write_text(
        "rules: [{id: n, kind: n, family: identity, pattern: '\\d{6}', positive: ['123456'], negative: ['12345']}]"
    )
    code, out, _ = run("test", "broad.yaml")
    assert code == 0
    assert out.startswith("note  n: too broad")


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        (["empty"], ["empty: top level: expected `rules:` and `words:`, lists of them"]),
        (["folder"], ["folder: can't be read (Is a directory)"]),
        (["binary"], ["binary: not UTF-8 (byte 0)"]),
        (["nul"], ["nul: not YAML: unacceptable character #x0000"]),
        (["tabs"], ["tabs: not YAML: while scanning for the next token found character"]),
        (["gone", "tabs"], ["gone: can't be read", "tabs: not YAML"]),
        (
            ["ours.yaml", "again"],
            ["again: rule acme-customer: a rule of ours.yaml has this id; choose one of your own"],
        ),
        (["shipped"], ["shipped: rule email: a rule that comes with Holdpoint has this id; choose one of your own"]),
        (["family"], ["family: rule acme-customer: the kind email is of the family contact in another rule"]),
    ],
)
def test_files_that_can_not_be_used(run: Run, tmp_path: Path, files: list[str], problems: list[str]) -> None:
    """Exit code 2, and what is wrong with each."""
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    (tmp_path / "nul").write_bytes(b"a\0b")
    (tmp_path / "tabs").write_text("rules:\n\t- id: x\n")
    (tmp_path / "again").write_text(OURS)
    (tmp_path / "shipped").write_text(OURS.replace("id: acme-customer", "id: email"))
    (tmp_path / "family").write_text(OURS.replace("kind: acme-customer", "kind: email"))
    code, out, err = run("test", *files)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(problem)


# list


def test_rules_are_listed(run: Run) -> None:
    """One line each; of a family; and how many."""
    out = run("list", "--family", "contact")[1].splitlines()
    assert out[0].split() == ["RULE", "KIND", "FAMILY", "SCORE", "ABOUT"]
    assert any(line.startswith("email ") and " contact " in line for line in out)
    assert out[-1].endswith(" rules, 2 kinds")
    assert "did you mean" in run("list", "emial")[2]
    assert {rule["kind"] for rule in json.loads(run("list", "--json", "--kind", "ssn")[1])} == {"ssn"}


def test_a_rule_is_shown_as_it_is_written(run: Run) -> None:
    """In YAML that reads as the same rule."""
    assert run("list", "--rules", "ours.yaml", "acme-customer") == (
        0,
        OURS.replace("    positive", "    score: 1.0\n    positive")
        .replace("['KD-4711-0815-9']", "[KD-4711-0815-9]")
        .replace("['KD-4711-0815-8', 'KD-4711-0815']", "[KD-4711-0815-8, KD-4711-0815]"),
        "",
    )


WORDS = "words: [{id: w, kind: w, family: identity, words: [Ab, é, 'x, y', 'no'], negative: [zz]}]"
CASE_COUNTS = "words: [{id: w, kind: w, family: identity, words: [Ab], fold: false, score: 0.7}]"


def test_every_rule_can_be_pasted() -> None:
    """What is shown reads as the same rule, but for the identity of its check."""
    for rule in (*RULES, *read(WORDS, "words"), *read(CASE_COUNTS, "words")):
        (again,) = read("\n".join(as_yaml([rule])), "shown")
        members = [member.name for member in fields(rule) if member.name != "check"]
        assert [getattr(again, name) for name in members] == [getattr(rule, name) for name in members]


def test_cases_of_secrets_are_shown_folded() -> None:
    """So that no scanner takes them for secrets; where that would not read as the same they stay."""
    assert folded("ghp_" + "a1B2" * 9) == "ghp_{{a1B2*9}}"
    for case in ("{{a*b}}", "{" + "a" * 40, "a" * 40 + "}", "x{{aaaaaaaaaaaa", "*" * 20):
        assert expand(folded(case)) == case


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--checks", "luhn"), "--checks lists checks, and all of them; leave out the rule\n"),
        (("list", "card", "--kind", "email"), "'card' is not of what --kind names; leave out one of them\n"),
        (("explain", "--rule", "card", "--kind", "ssn", "x"),
         "--rule names what is looked for; leave out --kind and --family\n"),
    ],
)  # fmt: skip
def test_what_says_twice_what_is_meant(run: Run, words: tuple[str, ...], said: str) -> None:
    """Neither counts in silence."""
    assert run(*words) == (2, "", said)


def test_checks_are_listed(run: Run) -> None:
    """With what each asks for; in as many columns as there are."""
    assert max(len(line) for text in checks(60) for line in text.splitlines()) <= 60
    assert "luhn" in run("list", "--checks")[1]
    assert json.loads(run("list", "--checks", "--json")[1])["luhn"] == "Luhn over the digits of the candidate"


@pytest.mark.parametrize("verb", ["run", "explain", "test", "list"])
def test_verbs_have_help_with_examples(run: Run, verb: str) -> None:
    """--help of each is enough to begin with."""
    code, out, _ = run(verb, "--help")
    assert code == 0
    shown = out.partition("examples:")[2]
    assert f"holdpoint masking {verb}" in shown
    named = {name for line in shown.splitlines() for name in re.findall(r"--(?:rule|kind|family) ([a-z-]+)", line)}
    assert named - {name for rule in RULES for name in (rule.id, rule.kind, rule.family)} == set()
