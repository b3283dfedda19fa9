"""Arguments of a tool call: masked as the JSON that they are, or else as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.structure.jsonstage import LONG
from extproc.masking.structure.llm.arguments import Arguments
from tests.masking.apis import KEYED
from tests.masking.streams import every_cut, run

BROKEN = [
    '{"a": "say 4111 1111 1111 1111 the e',
    "{'a': '4111 1111 1111 1111'}",
    '{"a": 4111111111111111',
    '{"a": 12, jane@example.com, "pin": 4',
    "no json, 4111 1111 1111 1111",
    '{"a": "jane@example.com\nx"}',
    '{"a": "' + "x " * LONG + 'jane@example.com\n"}',
    '{"a": "' + "x" * (LONG - 3) + "\\u00",
    "4111111111111111",
    '{"a": 12"4"',
    "\ufeff{}",
    '{"a": "\ud83d jane@example.com"}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_arguments_that_are_no_json_are_text_from_there_on(text: str) -> None:
    """At every cut the same, and no value is let through."""
    raw = text.encode("utf-8", "surrogatepass")
    every_cut(lambda: Arguments(KEYED), raw)
    out, _ = run(lambda: Arguments(KEYED), raw)
    assert not any(secret in out for secret in (b"4111 1111", b"41111111", b"jane"))


@given(
    st.lists(
        st.sampled_from(['"', "\\", "{", "}", "[", ",", ":", "a", " ", "1", "\\u00", "\n", '"pin":', "é", "\ud83d"])
    )
)
def test_arguments_of_any_kind_do_not_depend_on_cuts(parts: list[str]) -> None:
    """Whatever the model writes."""
    raw = "".join(parts).encode("utf-8", "surrogatepass")
    assert run(lambda: Arguments(KEYED), raw, range(1, len(raw))) == run(lambda: Arguments(KEYED), raw)


@pytest.mark.parametrize("text", ['{"pin": "12', '{"pin": ["12", "4', '{"pin": "' + "1" * LONG + "\n rest"])
def test_the_rest_of_a_value_that_is_masked_whole_is_left_out(text: str) -> None:
    """Nobody can say where it would have ended."""
    out, _ = run(lambda: Arguments(KEYED), text.encode())
    assert out in (b'{"pin": ', b'{"pin": "[masked:key:pin]"', b'{"pin": "[masked:key:pin]')
