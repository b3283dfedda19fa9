"""CSV, cell by cell."""

import csv
import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.stage import MaskError
from extproc.masking.structure.csvstage import HEADER, LONG, CsvStage
from extproc.masking.text import mask_whole
from tests.masking.fields import CARD, EMAIL, SSN, plan
from tests.masking.streams import PLAN, every_cut, planned, run


def _make(*keys: str, kind: str = "text/csv", **more: object) -> Callable[[], CsvStage]:
    made = plan(*keys, **more)  # type: ignore[arg-type]
    return lambda: CsvStage(made, kind)


TABLE = f"""id,ssn,e 'mail',secret,note
1,{SSN},{EMAIL},x,{SSN}
2,'{SSN}','<{EMAIL}>','a ''b''
c','said ''{CARD}'', and {SSN}'

3,,'',,'',extra {EMAIL}
""".replace("'", '"').replace('e "mail"', '"e ""mail"""')
MASKED = f"""id,ssn,e 'mail',secret,note
1,[masked:ssn],[masked:email],[masked:key:secret],{SSN}
2,'[masked:ssn]','<[masked:email]>','[masked:key:secret]','said ''[masked:card]'', and {SSN}'

3,,'',,'',extra [masked:email]
""".replace("'", '"').replace('e "mail"', '"e ""mail"""')
COUNTS = {"ssn": 2, "email": 3, "key:secret": 2, "card": 1}


@pytest.mark.parametrize("mark", ",;\t|")
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_columns_are_context_and_keys_mask_them_whole(mark: str, end: str) -> None:
    """Whatever separates cells and ends lines; everything else keeps its bytes."""

    def other(text: str) -> bytes:
        return text.replace(", and", " and").replace(",", mark).replace("\n", end).encode()

    assert run(_make("Secret"), other(TABLE)) == (other(MASKED), COUNTS)


def test_every_single_cut() -> None:
    """Cut at each offset, and byte by byte."""
    every_cut(_make("secret"), TABLE.encode())
    every_cut(_make(), TABLE.encode())
    every_cut(_make("secret"), TABLE[:-1].encode())
    every_cut(_make(lenient=True), TABLE.encode() + b'4,"open ' + EMAIL.encode())


_PIECES = [
    ",", ";", "\t", "\n", "\r\n", '"', '""', "a", "ssn", "secret", SSN, CARD, EMAIL, " ", "1", "é",
    "-----BEGIN PRIVATE KEY-----", "x" * 2000,
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join), st.booleans(), st.sampled_from(Operator))
def test_cuts_do_not_matter(text: str, lenient: bool, operator: Operator) -> None:
    """Whatever comes, well-formed or not, is masked or refused the same way in one piece and in many."""
    raw = ("secret,ssn,a\n" * (len(text) % 2) + text).encode()
    operators = dict.fromkeys(("card", "email", "key:secret"), operator)
    make = _make("secret", lenient=lenient, operators=operators)

    def outcome(cuts: range) -> object:
        try:
            return run(make, raw, cuts)
        except MaskError:
            return MaskError

    assert outcome(range(1, len(raw))) == outcome(range(0)) == outcome(range(0, len(raw), 7))
    run(_make(lenient=True), raw)


@given(
    st.lists(
        st.lists(st.sampled_from(["", "a", 'q"q', "x,y", "l\nm", EMAIL, f"to {CARD}", "é;|\t"]), min_size=1),
        min_size=1, max_size=5,
    ),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)  # fmt: skip
def test_what_a_reader_reads_is_masked_and_nothing_else(rows: list[list[str]], quoting: int) -> None:
    """The table that Python's reader finds behind the stage is the one before it, with masks in the cells."""
    rows = [["one", "two", "three"], *(row if row != [""] else ["a"] for row in rows)]
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    out = run(_make(), text.getvalue().encode())[0].decode()
    expected = [[c.replace(EMAIL, "[masked:email]").replace(CARD, "[masked:card]") for c in row] for row in rows]
    assert list(csv.reader(io.StringIO(out, newline=""))) == expected


@pytest.mark.parametrize(
    ("table", "kind", "expected"),
    [
        (f"{SSN},1\n{SSN},{EMAIL}\n", "text/csv", f"{SSN},1\n{SSN},[masked:email]\n"),
        (f"{EMAIL},{CARD}\n", "text/csv", "[masked:email],[masked:card]\n"),
        (f"ssn,a\n{SSN},b", "text/csv; header=absent", f"ssn,a\n{SSN},b"),
        (f"\ufeffssn,a\n{SSN},b", "text/csv; charset=utf-8", "\ufeffssn,a\n[masked:ssn],b"),
        (f"my ssn\n{SSN}", "text/csv", "my ssn\n[masked:ssn]"),
        (f"a,b\tssn\nx\t{SSN}", "text/tab-separated-values", "a,b\tssn\nx\t[masked:ssn]"),
        (f'"a;b;c",ssn\nx,{SSN}', "text/csv", '"a;b;c",ssn\nx,[masked:ssn]'),
        (f"a,ssn\n{SSN}\n1,2,{SSN}\n,{SSN}", "text/csv", f"a,ssn\n{SSN}\n1,2,{SSN}\n,[masked:ssn]"),
        ("", "text/csv", ""),
        ("one line", "text/csv", "one line"),
    ],
)
def test_the_first_line(table: str, kind: str, expected: str) -> None:
    """It names columns unless it looks like data, or the type says that it is data."""
    every_cut(_make(kind=kind), table.encode())
    assert run(_make(kind=kind), table.encode())[0].decode() == expected


def test_a_first_line_that_is_too_long_names_nothing() -> None:
    """It is not kept to its end."""
    for length, named in ((HEADER - 5, True), (HEADER + 1, False)):
        table = f"ssn,{'a' * (length - 5)}\n{SSN}\n".encode()
        assert (run(_make(), table)[1] == {"ssn": 1}) is named
        assert run(_make(), table, [HEADER - 7, HEADER]) == run(_make(), table)


@pytest.mark.parametrize("table", ['a,"b', 'a\n"b', 'a,"b"c,d\n', 'a\n"' + "b" * 9000, 'a\n"' + "b" * 9000 + '"c'])
def test_what_is_malformed_is_refused_or_text(table: str) -> None:
    """An open quote may hide where the cells are, and text behind a closing one is read in several ways."""
    raw = f"{table} {EMAIL} ".encode()
    with pytest.raises(MaskError):
        run(_make(), raw)
    with pytest.raises(MaskError):
        run(_make(), raw, range(1, len(raw), 5))
    assert run(_make(lenient=True), raw)[0] == f"{table} [masked:email] ".encode()
    pem = f'a\n"-----BEGIN PRIVATE KEY-----{"x" * 5000}"{table}'.encode()
    assert run(_make(lenient=True), pem) == run(_make(lenient=True), pem, range(1, len(pem), 5))
    if table[0:2] == "a\n":
        with pytest.raises(MaskError):
            run(_make("a", lenient=True), raw)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Operator.NULL, 'secret,a\n"",\n,\n,in  [masked:email]\n'),
        (Operator.DROP, 'secret,a\n"",\n,\n,in  [masked:email]\n'),
        (Operator.LENGTH, 'secret,a\n"***",****************\n*,*******************\n,in  ****************\n'),
    ],
)
def test_operators(operator: Operator, expected: str) -> None:
    """A cell that is one value is emptied; a value inside a longer text is redacted instead."""
    make = _make("secret", operators=dict.fromkeys(("email", "card", "key:secret"), operator))
    table = f'secret,a\n"x""y",{EMAIL}\n1,{CARD}\n,in  {EMAIL}\n'.encode()
    every_cut(make, table)
    assert run(make, table)[0].decode() == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("value", [EMAIL, "x" * 5000])
def test_an_emptied_row_stays_a_row(value: str, end: str) -> None:
    """A line with nothing in it is none to most readers, and between a CR and an LF there is none for anybody."""
    raw = f"secret{end}{value}\nb\n".encode()
    make = _make("secret", operators={"email": Operator.NULL, "key:secret": Operator.NULL})
    out = run(make, raw)[0]
    assert list(csv.reader(io.StringIO(out.decode(), newline=""))) == [["secret"], [""], [""]]
    assert run(make, raw, range(1, len(raw), 7))[0] == out


@pytest.mark.parametrize("where", ["{},b", "a,{}", '"{}",b', 'a,"{}"', 'a;,"{}",b'])
def test_rules_that_mind_what_stands_beside_a_value(where: str) -> None:
    """To them, a cell is a line of its own."""
    other = r"'\x00-\x09\x0b-\xff'"
    made = planned(f"kind: line, pattern: 'pw: [a-z]{{8}}', before: {other}, after: {other}")
    text = f"one,two\nclean,clean\n{where.format('pw: abcdefgh')}\nclean,clean\n".encode()
    assert run(lambda: CsvStage(made), text) == (text.replace(b"pw: abcdefgh", b"[masked:line]"), {"line": 1})


def test_a_mask_does_not_end_its_cell() -> None:
    """Whatever name policy gives."""
    out, _ = run(_make('a"b,c;d'), b'"a""b,c;d",e\nx,y\n')
    assert out == b'"a""b,c;d",e\n[masked:key:a?b?c?d],y\n'


@pytest.mark.parametrize("name", ["note", "secret", "ssn"])
def test_long_cells_are_streams(name: str) -> None:
    """They are masked as any other, wherever they are cut, in bounded memory."""
    long = f'{"word " * 1200}{EMAIL} said ""{CARD}"" {SSN} {"word " * 900}'
    for cell in (f'"{long}"', long.replace('""', "")):
        table = f"a,{name},b\n1,{cell},{EMAIL}\n".encode()
        assert len(cell) > 2 * LONG
        expected = run(_make("secret"), table)
        assert EMAIL.encode() not in expected[0]
        assert expected[0].endswith(b",[masked:email]\n")
        for size in (1, 7, 1000, LONG, LONG + 1):
            assert run(_make("secret"), table, range(size, len(table), size)) == expected


_CELLS = ["219-09-9998", "219099998", "+49 30 1234567", "hunter2!x", "1990-01-02", "", "x", 'a "b", c', "l\nm"]


@given(
    st.lists(st.sampled_from(["ssn", "phone", "password", "born", "note", "a,b"]), min_size=1, max_size=5),
    st.lists(st.lists(st.sampled_from(_CELLS), min_size=1, max_size=6), max_size=30),
    st.sampled_from([",", "\t"]),
    st.integers(1, 200),
)
def test_names_of_columns_are_context_for_the_cells_below(
    names: list[str], rows: list[list[str]], mark: str, step: int
) -> None:
    """However many cells between them are clean, in quotes or not."""
    text = io.StringIO()
    csv.writer(text, delimiter=mark).writerows([names, *rows])
    raw = text.getvalue().encode()
    kind = "text/csv" if mark == "," else "text/tab-separated-values"
    try:
        out = run(lambda: CsvStage(PLAN, kind), raw)
    except MaskError:
        return
    assert run(lambda: CsvStage(PLAN, kind), raw, range(step, len(raw), step)) == out
    named = [PLAN.detector.named(name) for name in names] + [frozenset[int]()] * 6
    expected = [[mask_whole(PLAN, cell, named[at])[0] for at, cell in enumerate(row)] for row in rows]
    assert list(csv.reader(io.StringIO(out[0].decode(), newline=""), delimiter=mark)) == [names, *expected]


@pytest.mark.parametrize("filler", [b"a" * 999, b'""' * 500, b",\n" * 500, b"x,y,", b" " * 999])
def test_memory_is_bounded(filler: bytes) -> None:
    """Cells, lines and the first line may be of any length."""
    for begin in (b"", b'a\n"', b"a\n"):
        if begin != b'a\n"' and b'"' in filler:
            continue
        stage = _make("secret")()
        stage.feed(begin)
        held = len(begin)
        tracemalloc.start()
        for _ in range(500):
            held += len(filler) - len(stage.feed(filler))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert held < max(HEADER, LONG) + 1000
        assert peak < 1_000_000
