"""The verifier's Ed25519 against RFC 8032's vectors and another implementation, and what it needs of Python."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from extproc.audit.export import verifier
from extproc.audit.export.bundle import VERIFIER

# RFC 8032, section 7.1: secret key, public key, message, signature. The long message (TEST 1024) is left out.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
            "655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
            "b00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
            "c027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
            "2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a"
            "d9bef1177331a704"
        ),
    ),
)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_vectors(secret: str, public: str, message: str, signature: str) -> None:
    """Each vector verifies, and the other implementation makes the same of its secret key."""
    made = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(bytes.fromhex(message))
    assert made.hex() == signature
    assert verifier.signed(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


def test_as_another_implementation() -> None:
    """On random keys, messages and damage it says what `cryptography` says."""
    dice = random.Random(8032)
    for _ in range(40):
        key = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), dice.randbytes(dice.randrange(200))
        signature = bytearray(key.sign(message))
        if dice.random() < 0.6:
            signature[dice.randrange(64)] ^= 1 << dice.randrange(8)
        assert _ours(public, message, bytes(signature)) == _theirs(public, message, bytes(signature))


MALLEABLE = (
    ("S is not below the group's order", lambda s: s[:32] + _number(s[32:], verifier.L)),
    ("too short", lambda s: s[:-1]),
    ("too long", lambda s: s + b"\0"),
    ("empty", lambda s: b""),
    ("all zeros", lambda s: bytes(64)),
)


@pytest.mark.parametrize(("what", "change"), MALLEABLE, ids=[what for what, _ in MALLEABLE])
def test_other_forms(what: str, change: "object") -> None:
    """A signature has one form: what is equal to it modulo something is none."""
    key = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
    signature = key.sign(b"head")
    assert callable(change)
    assert not _ours(key.public_key().public_bytes_raw(), b"head", change(signature))


BAD_KEYS = (bytes(31), b"\xff" * 32, (verifier.P + 1).to_bytes(32, "little"), (2).to_bytes(32, "little"))


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_are_none(key: bytes) -> None:
    """What is no point of the curve, or not written as the standard says, signs nothing."""
    assert not _ours(key, b"head", Ed25519PrivateKey.from_private_bytes(b"7" * 32).sign(b"head"))


def test_needs_little() -> None:
    """It is one file of at most 250 lines, imports the standard library alone, and is written for Python 3.8."""
    source = VERIFIER.read_text()
    assert len(source.splitlines()) <= 250
    tree = ast.parse(source, feature_version=(3, 8))
    found = {n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found == {
        "__future__", "argparse", "base64", "hashlib", "json", "pathlib", "sys", "typing", "zipfile"
    }  # fmt: skip


def test_nothing_to_check(tmp_path: Path) -> None:
    """A file that is no bundle, and a key that is none, are exit code 2 and a line."""
    other = tmp_path / "other"
    other.write_bytes(b"no zip")
    for arguments in ([str(other)], [str(tmp_path), "--key", str(other)], [str(tmp_path / "nothing")]):
        done = subprocess.run([sys.executable, "-I", VERIFIER, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2, done
        assert done.stdout.startswith("nothing was checked: ")
        assert done.stderr == ""
    bundle = ["--key", str(other), str(tmp_path)]
    done = subprocess.run([sys.executable, "-I", VERIFIER, *bundle], capture_output=True, text=True, check=False)
    assert done.stdout == f"nothing was checked: {other}: is no Ed25519 key in PEM\n"


def _ours(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        return verifier.signed(public, message, signature)
    except ValueError:
        return False


def _theirs(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _number(data: bytes, more: int) -> bytes:
    return (int.from_bytes(data, "little") + more).to_bytes(32, "little")
