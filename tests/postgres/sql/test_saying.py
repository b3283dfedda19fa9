"""What is said of a text that the parser refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.sql import Unparsable, read
from extproc.protocols.postgres.sql.facts import TOO_COMPLEX

WORDS = ["SELECT", "FROM", "LIMIT", "1,2", "E'\\u0'", "U&'\\0'", "'ä", "(", "--ä\n", "\U0001f600", ";", "+", "x"]
AT_END = "syntax error at end of input"


def refused(sql: str) -> Unparsable | None:
    """The refusal of a text; None where it is read."""
    try:
        read(sql)
    except Unparsable as error:
        return error
    return None


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_the_place_is_in_the_text_or_at_its_end(sql: str) -> None:
    """Of whatever is refused; at the end where something is missing there."""
    error = refused(sql)
    if error is not None:
        assert error.position is not None
        assert 0 <= error.position <= len(sql)
        assert error.message != AT_END or error.position == len(sql)


@pytest.mark.parametrize("sql", ["SELECT * FROM (" * 100 + "SELECT 1" + ") AS x" * 100, f"SELECT 1 {'+' * 20_000}"])
def test_too_much_work_is_no_syntax_error(sql: str) -> None:
    """Somebody who looks for the mistake would find none."""
    error = refused(sql)
    assert error is not None
    assert error.state == TOO_COMPLEX, error.message
