"""JSON that is masked as text from where it is malformed on."""

import pytest

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.lenient import LenientStage
from tests.masking.fields import CARD, EMAIL, plan
from tests.masking.streams import every_cut, run

PLAN = plan("secret", lenient=True)


def _stage(made: Plan = PLAN) -> LenientStage:
    return LenientStage(made)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (f'{{"a": 4111111111111111, "b" {EMAIL}', '{"a": null, "b" [masked:email]'),
        (f'{{"secret": "x", "b": ["{CARD}", 1x, "{EMAIL}"]}}',
         '{"secret": "[masked:key:secret]", "b": ["[masked:card]", 1x, "[masked:email]"]}'),
        ('{"a": 4111111111111111', '{"a": [masked:card]'),
        (f'[1] nonsense {EMAIL} [4111111111111111]', '[1] nonsense [masked:email] [[masked:card]]'),
        (f'\ufeff[1, "{EMAIL}\\x"]', '\ufeff[1, "[masked:email]\\x"]'),
        ("[" * 128 + f'["{CARD}"', "[" * 128 + '["[masked:card]"'),
        (f'{{"b": "{"y" * 1100} {EMAIL} \\z {CARD}', f'{{"b": "{"y" * 1100} [masked:email] \\z [masked:card]'),
    ],
)  # fmt: skip
def test_every_single_cut(raw: str, expected: str) -> None:
    """Where text begins is where the JSON breaks off, not where the slice began in which it does."""
    data = raw.encode()
    assert run(_stage, data)[0].decode() == expected
    every_cut(_stage, data)


def test_characters_that_are_none() -> None:
    """What is not UTF-8 is text from there on, though the beginning of a character came in time."""
    data = b'{"a": 4111111111111111, "b": "\xe2\x82 ' + CARD.encode() + b'", "c": 4111111111111111}'
    masked = b'{"a": null, "b": "\xe2\x82 [masked:card]", "c": [masked:card]}'
    assert run(_stage, data) == (masked, {"card": 3})
    every_cut(_stage, data)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"secret": x}',
        b'{"secret"; "x"}',
        b'{"secret": ["a", x]}',
        b'{"secret": "a\xff"}',
        b'{"secret": "' + b"a" * 1100,
    ],
)
def test_inside_a_value_that_is_masked_whole(raw: bytes) -> None:
    """Nobody could say where that ends, wherever the slices do."""
    for cuts in (range(0), range(1, len(raw))):
        with pytest.raises(MaskError, match="masked whole"):
            run(_stage, raw, cuts)


@pytest.mark.parametrize("operator", Operator)
def test_every_operator(operator: Operator) -> None:
    """What is done with values does not depend on cuts either."""
    made = plan("secret", lenient=True, operators={"card": operator, "key:secret": operator})
    every_cut(lambda: LenientStage(made), f'{{"secret": [1], "a": ["{CARD}", 4111111111111111, oops "{CARD}"'.encode())
