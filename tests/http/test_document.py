"""JSON in requests, read strictly."""

import json

import pytest

from extproc.protocols.http.document import MOST_VALUES, read_json
from extproc.protocols.http.message import MalformedRequest


@pytest.mark.parametrize(
    "document",
    [
        [[]] * (MOST_VALUES - 1),
        {str(n): n for n in range(MOST_VALUES - 1)},
        ["a, b, [c], {d}" * 9] * 9000,
        [{"a": [n, None]} for n in range(MOST_VALUES // 4 - 1)],
    ],
    ids=["empty lists", "members", "commas in texts", "nested"],
)
def test_so_many_values_are_read(document: object) -> None:
    """As many as policy may be asked about; what stands inside texts is none."""
    assert read_json(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "document",
    [[[]] * MOST_VALUES, {str(n): n for n in range(MOST_VALUES)}, [[1, 2, 3]] * (MOST_VALUES // 3)],
    ids=["empty lists", "members", "nested"],
)
def test_more_are_refused(document: object) -> None:
    """They would keep the engine from everybody else's questions."""
    with pytest.raises(MalformedRequest, match="more than 50000 values"):
        read_json(json.dumps(document).encode())
