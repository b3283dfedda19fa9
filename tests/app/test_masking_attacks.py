"""What becomes of masking when its files are not what they were, or change often."""

import gc
from pathlib import Path

import pytest

from extproc.app.masking_rules import collect
from extproc.app.rule_files import RulesRefused
from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build, forget, mask_value
from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Knowledge
from extproc.masking.redact import redact
from tests.app.test_masking_rules import given
from tests.masking.streams import made


@pytest.mark.parametrize(("text", "mode"), [(b"", 0o600), (b"k" * 31, 0o600), (b"k" * 40, 0o644)])
def test_a_key_is_looked_at_whenever_it_is_read(tmp_path: Path, text: bytes, mode: int) -> None:
    """A file that is just being written is empty, and anybody can guess the key that this would be."""
    settings = given(tmp_path, "{hash_key: mask.key}")
    collect(settings, b"k" * 32)
    key = tmp_path / "mask.key"
    key.write_bytes(text)
    key.chmod(mode)
    with pytest.raises(RulesRefused, match=r"hash_key: .*mask\.key"):
        collect(settings, b"k" * 32)


@pytest.mark.parametrize("name", ["acme.yaml", "lists/projects.txt"])
def test_rules_that_others_can_write(tmp_path: Path, name: str) -> None:
    """They decide what is found, as the configuration does."""
    settings = given(tmp_path, "{rules: [acme.yaml]}")
    collect(settings, b"k" * 32)
    (tmp_path / name).chmod(0o666)
    with pytest.raises(RulesRefused, match="others can write"):
        collect(settings, b"k" * 32)


def test_rules_that_are_replaced_are_let_go() -> None:
    """An engine has 50 MB; who edits rules does so often."""

    def engines() -> int:
        gc.collect()
        return sum(type(thing) is Engine for thing in gc.get_objects())

    def use() -> None:
        known = Knowledge(made("kind: a, pattern: 'abc'"), hash_key=b"k" * 32)
        for content_type in (
            "application/json",
            "text/csv",
            "text/xml",
            "text/plain",
            "application/x-www-form-urlencoded",
        ):
            stage = build([Mask("p", ("a",), ("b",), Operator.REDACT)], "response", content_type, known)
            assert stage is not None
            stage.feed(b'[{"b": "abc"}]')
        mask_value([Mask("p", ("a",), (), Operator.REDACT)], "request", "abc", known)
        redact("abc", known)

    forget()
    before = engines()
    for _ in range(3):
        use()
    assert engines() > before
    forget()
    assert engines() == before
