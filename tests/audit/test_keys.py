"""Keys that seal: made once, and believed only where they are known."""

import subprocess
from pathlib import Path

import pytest

from extproc.audit.keys import BadSignature, KeyUnusable, PublicKeys, Signer, make, publish


def test_what_one_signs_the_other_believes(tmp_path: Path) -> None:
    """Through the files, of which only the owner can read the private one."""
    made = make(tmp_path / "audit.key", tmp_path / "audit.pub")
    signer, known = Signer.load(tmp_path / "audit.key"), PublicKeys.load([tmp_path / "audit.pub"])
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    assert known.ids == {made.key_id} == {signer.key_id}
    known.verify(signer.key_id, "text", signer.sign("text"))
    other = make(tmp_path / "b.key", tmp_path / "b.pub")
    for key, text, signature in (
        (signer.key_id, "text ", signer.sign("text")),
        (signer.key_id, "text", other.sign("text")),
        (other.key_id, "text", other.sign("text")),
        (signer.key_id, "text", "not base64"),
        (signer.key_id, "text", ""),
    ):
        with pytest.raises(BadSignature):
            known.verify(key, text, signature)


def test_a_key_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    """What was signed with it would be worth nothing; the public half can be written again at any time."""
    signer = make(tmp_path / "k", tmp_path / "p")
    with pytest.raises(FileExistsError):
        make(tmp_path / "k", tmp_path / "p")
    publish(signer, tmp_path / "p")
    assert PublicKeys.load([tmp_path / "p"]).ids == {Signer.load(tmp_path / "k").key_id}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k", "p"]


@pytest.mark.parametrize("content", [b"", b"no key", "rsa"])
def test_files_that_hold_no_such_key_are_named(tmp_path: Path, content: bytes | str) -> None:
    """With what would be right."""
    path = tmp_path / "k"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        command = ["openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(path)]
        subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(KeyUnusable, match=str(path)):
        Signer.load(path)
    with pytest.raises(KeyUnusable, match=str(path)):
        PublicKeys.load([path])
