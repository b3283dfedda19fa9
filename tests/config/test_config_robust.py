"""Whatever is given as a configuration, the answer is Settings or SettingsError."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extproc.config import Settings, SettingsError, load, parse


def test_a_file_that_cant_be_read(home: Path) -> None:
    """A folder, a missing file, a pipe and an impossible name are one line each."""
    os.mkfifo(home / "pipe")
    expected = {
        home / "none.yaml": f"{home}/none.yaml: there is no such file; name one with --config FILE",
        home: f"{home}: a folder; name the file in it, such as {home}/holdpoint.yaml",
        home / "pipe": f"{home}/pipe: not a regular file; a configuration is read from one",
        Path("a\0b"): "a\0b: not a file name (it holds a NUL)",
    }
    for file, message in expected.items():
        with pytest.raises(SettingsError) as caught:
            load(file)
        assert str(caught.value) == message


WORDS = st.sampled_from(
    ["version", "1", "identity", "agents", "targets", "crm", "upstream", "http://x", "credential", "wait", "30s",
     "null", "*a", "&a", "<<", "!!python/name:os", "listen", "tls", "state", "policy", "engine", "unix:", "audit",
     "[::1]:1"]
)  # fmt: skip
PIECES = st.lists(
    st.one_of(WORDS, st.sampled_from([": ", "- ", "\n", "  ", "{", "}", "[", "]", ",", "'", '"', "#", "|", "? "]))
)


def outcome(data: bytes) -> Settings | SettingsError:
    """What reading ends in; anything else that is raised fails the test."""
    try:
        return parse(data, Path("nowhere/c.yaml"))
    except SettingsError as error:
        return error


@given(st.one_of(PIECES.map(lambda parts: "".join(parts).encode()), st.text().map(str.encode), st.binary()))
def test_any_bytes_are_settings_or_an_error(data: bytes) -> None:
    """Whatever stands in the file, reading it ends in Settings or in SettingsError with one line a problem."""
    result = outcome(data)
    if isinstance(result, SettingsError):
        assert result.problems
        assert len(str(result).split("\n")) == len(result.problems)
        assert str(result).replace("\n", "").isprintable()


TREES: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), WORDS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(WORDS, inner)),
)
SECTIONS = st.sampled_from(["version", "state", "workers", "listen", "identity", "targets", "policy", "audit"])


@given(st.dictionaries(SECTIONS, TREES))
def test_any_tree_is_settings_or_an_error(tree: dict[str, object]) -> None:
    """Well-formed files of any shape end the same way."""
    result = outcome(yaml.safe_dump(tree).encode())
    assert isinstance(result, Settings) or result.problems
