"""Rows of a COPY that go on as they came: only where each value by itself would, too."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.domain.mask import Mask
from extproc.masking.rules.model import Rule
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import CopyMask, CopyOptions, copy_mask
from extproc.protocols.postgres.masks.copyrow import TextFormat
from extproc.protocols.postgres.sql import Origins
from tests.masking.streams import RULES, SECRETS, unmarked
from tests.postgres.masks.answers import CARD, EMAIL, KNOWN, frames, mask
from tests.postgres.masks.test_copy import messages

COLUMNS = [("id", 23), ("a", 25), ("b", 1042)]
MARKS = "\t,;|: -_/"
# In text a delimiter is none of a-z, 0-9 and the dot (COPY, "Parameters").
FORMS = [CopyOptions("text", mark) for mark in MARKS] + [CopyOptions("csv", mark) for mark in MARKS + ".x0"]


def masker(options: CopyOptions, masks: Sequence[Mask] = (mask("*"),)) -> CopyMask:
    """What masks these columns."""
    origins: list[Origins] = [()] * len(COLUMNS)
    found = copy_mask(masks, KNOWN, COLUMNS, origins, options)
    assert found is not None
    return found


def as_they_come(options: CopyOptions, rows: Sequence[bytes]) -> bytes:
    """What a client gets of rows that are a message each."""
    masking = masker(options)
    return b"".join(masking.feed(frame) for frame in frames(messages(rows))) + masking.finish()


def taken_apart(options: CopyOptions, rows: Sequence[bytes]) -> bytes:
    """The same of rows that are not: the first byte is a message of its own."""
    masking = masker(options)
    out = []
    for row in rows:
        out += [masking.feed(frame) for frame in frames(messages([row[:1]]))]
        out += [masking.feed(frame) for frame in frames(messages([row[1:]]))]
    return b"".join(out) + masking.finish()


def rows_of(values: Sequence[tuple[str, str]], options: CopyOptions) -> list[bytes]:
    """Rows with these values, where they can be written as they are."""
    mark = options.delimiter
    other = str.maketrans(dict.fromkeys((*'\n\r\\"', mark), None))
    return [mark.join(("1", *(value.translate(other) for value in row))).encode() + b"\n" for row in values]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_whatever_a_rule_finds_is_found(rule: Rule) -> None:
    """Beside every delimiter: in the first column and in the last, before and behind other values."""
    for case in map(unmarked, rule.positive[:2]):
        for options in FORMS:
            rows = rows_of([("plain", case), (case, "x"), ("", case), ("plain", "7")], options)
            assert as_they_come(options, rows) == taken_apart(options, rows), options


pieces = st.sampled_from(
    ["", "x", "7", "12", "a text", "ssn", "iban", *SECRETS.values(), CARD.decode(), EMAIL.decode()]
)


@settings(max_examples=200)
@given(st.lists(st.tuples(pieces, pieces), min_size=1, max_size=5), st.sampled_from(FORMS), st.integers(0, 40))
def test_neighbours_hide_nothing(values: list[tuple[str, str]], options: CopyOptions, cut: int) -> None:
    """Whatever they are, and wherever values are cut."""
    rows = rows_of([(a[:cut], b[-cut:]) for a, b in values] + values, options)
    assert as_they_come(options, rows) == taken_apart(options, rows)


WRITTEN = [
    (CopyOptions(), [b"1\t\\N\tplain\n", b"2\t\\N\t\\N\n"]),
    (CopyOptions(), [b"1\tjane\\x2edoe@example.com\tplain\n"]),
    (CopyOptions(), [b"1\tjane.doe@ex\\ample.com\tx\n"]),
    (CopyOptions(), [b"1\t\\\\N\\N\tx\n"]),
    (CopyOptions(null="-"), [b"1\t-\tjane.doe\\@example.com\n", b"1\t-\t-\n"]),
    (CopyOptions("csv"), [b'1,"4111,1111",x\n', b'2,"4111""1111"""," "\n']),
    (CopyOptions("csv"), [b'1,"jane.doe@\n', b'example.com",x\n']),
    (CopyOptions("csv", quote="|"), [b"1,|" + EMAIL + b"|,x\n"]),
    (CopyOptions("csv", header=True), [EMAIL + b",a,b\n", b"1," + EMAIL + b",x\n", b"2,x,y\n"]),
    (CopyOptions("text", header=True), [b"id\ta\tb\n", b"1\tx\ty\n", b"2\tx\t" + EMAIL + b"\n"]),
]


@pytest.mark.parametrize(("options", "rows"), WRITTEN)
def test_what_is_written_otherwise_is_read(options: CopyOptions, rows: list[bytes]) -> None:
    """Escapes, quotes, NULL, and a line before the rows."""
    assert as_they_come(options, rows) == taken_apart(options, rows)


def test_most_rows_pass_without_being_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that lie near one in which something is."""
    rows = [b"%d\tplain\t%s\n" % (at, b" " * 80) for at in range(2000)]
    rows[700] = b"700\t" + EMAIL + b"\tx\n"
    taken, split = list[bytes](), TextFormat.split

    def noted(form: TextFormat, row: bytes) -> list[bytes | None] | None:
        taken.append(row)
        return split(form, row)

    monkeypatch.setattr(TextFormat, "split", noted)
    masking = masker(CopyOptions())
    out = b"".join(masking.feed(frame) for frame in frames(messages(rows)))
    assert out == messages([*rows[:700], b"700\t[masked:email]\tx\n", *rows[701:]])
    assert len(taken) < 400
    assert masking.counts == {"email": 1}


def test_columns_that_are_masked_whole_are_always_taken_out() -> None:
    """Also beside others that are not."""
    masking = masker(CopyOptions(), [mask("*"), mask(keys=["a"])])
    (out,) = [masking.feed(frame) for frame in frames(messages([b"1\tplain\tx\n"]))]
    assert out == messages([b"1\t[masked:key:a]\tx\n"])


@pytest.mark.parametrize(("options", "rows"), [
    (CopyOptions(), [b"1\tx\ty\tz\n", b"2\tx\n"]), (CopyOptions("csv"), [b"1,x\n", b"2,x,y,z\n"]),
])  # fmt: skip
def test_each_row_has_its_columns(options: CopyOptions, rows: list[bytes]) -> None:
    """Not only all of them together."""
    masking, (frame,) = masker(options), frames(messages(rows))
    with pytest.raises(MaskError, match="other columns"):
        masking.feed(frame)
