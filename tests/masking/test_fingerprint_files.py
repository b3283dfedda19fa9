"""From credential files to what workers read."""

import os
from pathlib import Path

import pytest

from extproc.app import masking_rules
from extproc.app.fingerprints import path_of, publish, read
from extproc.app.knowledge import Known
from extproc.app.layout import Layout, StateUnusable
from extproc.masking.build import mask_value
from extproc.masking.engine.fingerprint import Fingerprints
from extproc.masking.plan import Knowledge
from tests.live.making import settings
from tests.masking.streams import KNOWLEDGE

OLD, NEW = "tk-4eC39HqLyjWDarjtT1zdp7dc", "tk-Qm93dGhpc2lzYW5vdGhlcg"


def _target(name: str, secret: Path) -> str:
    return f'{name}: {{upstream: "http://127.0.0.1:9001", credential: "{secret}"}}'


def _write(path: Path, secret: str) -> Path:
    path.write_text(secret)
    path.chmod(0o600)
    return path


def _masked(secret: str, known: Fingerprints) -> bool:
    knowledge = Knowledge(KNOWLEDGE.engine, known)
    return mask_value((), "response", secret, knowledge)[1] == {"credential": 1}


def test_published_replaced_and_read(tmp_path: Path) -> None:
    """Workers know each credential in use and the one before it, in a private file that has neither."""
    first, second = _write(tmp_path / "first", OLD), _write(tmp_path / "second", "short")
    given = settings(tmp_path, _target("a", first), _target("b", second))
    layout = Layout(tmp_path / "state")
    layout.prepare()
    with pytest.raises(StateUnusable, match=r"fingerprints\.json"):
        read(layout)
    (problem,) = publish(given, layout)
    assert problem.startswith("targets.b.credential: a secret of less than 8 bytes")
    path = path_of(layout)
    assert path.stat().st_mode & 0o777 == 0o600
    assert OLD not in path.read_text()
    assert _masked(OLD, read(layout))
    masking_rules.publish(masking_rules.collect(given, b"k" * 32), layout)
    known = Known(layout)
    seen = path.stat().st_ino
    publish(given, layout)
    assert path.stat().st_ino == seen, "nothing changed, so nothing is written"

    os.replace(_write(tmp_path / "next", NEW), first)
    for _ in range(2):
        publish(given, layout)
        assert _masked(NEW, read(layout))
        assert _masked(OLD, read(layout))
    os.replace(_write(tmp_path / "next", NEW[::-1]), first)
    publish(given, layout)
    known.look()
    assert _masked(NEW, known.now.credentials)
    assert not _masked(OLD, known.now.credentials)

    first.unlink()
    assert str(first) in publish(given, layout)[0]
    path.write_text("{}")
    with pytest.raises(StateUnusable, match="no document of fingerprints"):
        known.look()
    assert _masked(NEW, known.now.credentials), "what was known stays known"
    assert len(publish(given, layout)) == 2, "a damaged document is made anew"
    assert not read(layout)
