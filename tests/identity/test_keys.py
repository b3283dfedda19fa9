"""Key sets: where they come from, how long they count, and what is no key."""

import asyncio
import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from extproc.adapters.identity import discovery
from extproc.adapters.identity.discovery import trustworthy
from extproc.adapters.identity.keys import (
    FRESH_SECONDS,
    LOOK_SECONDS,
    REFETCH_SECONDS,
    STALE_SECONDS,
    KeySet,
    parse_jwks,
)
from extproc.domain.identity import IdentityRefused, Why
from tests.identity.making import Clock, KeyServer
from tests.support.envoy_tls import self_signed
from tests.support.jwt import TokenIssuer

ONE, TWO = TokenIssuer(kid="k1"), TokenIssuer(kid="k2")


async def why(keys: KeySet, kid: str | None) -> Why | None:
    """Why this key can't be had, or None when it can."""
    try:
        await keys.find("ES256", kid)
    except IdentityRefused as error:
        return error.why
    return None


def write(path: Path, data: bytes) -> None:
    """Put this into the file."""
    path.write_bytes(data)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A withdrawn key stops counting at once, and so does everything when the file can't be read."""

    async def run() -> None:
        ticks = Clock()
        path = Path(ONE.write(tmp_path / "jwks.json"))
        keys = KeySet("x", path, clock=ticks)
        assert not keys.settled()
        assert await why(keys, "k1") is None
        assert (keys.settled(), keys.generation) == (True, 1)
        ticks.now += LOOK_SECONDS
        assert not keys.settled()
        assert await why(keys, "k1") is None
        assert (keys.settled(), keys.generation) == (True, 1)
        TWO.write(path)
        assert (await why(keys, "k2"), await why(keys, "k1"), keys.generation) == (None, Why.INVALID, 2)
        write(path, b"{")
        assert (await why(keys, "k2"), keys.settled(), keys.generation) == (Why.UNAVAILABLE, False, 3)
        TWO.write(path)
        assert await why(keys, "k2") is None
        write(path, b" " * (discovery.MAX_BYTES + 1))
        assert await why(keys, "k2") is Why.UNAVAILABLE
        os.unlink(path)
        assert await why(keys, "k2") is Why.UNAVAILABLE

    asyncio.run(run())


def test_an_address_is_asked_again_for_unknown_ids_and_when_keys_grow_old() -> None:
    """One fetch serves many; unknown ids fetch, but not each; withdrawn keys go; an outage is survived for a while."""

    async def run() -> None:
        server, ticks = KeyServer(), Clock()
        server.issuers = [ONE]
        async with server.serving() as root:
            keys = KeySet(root, f"{root}/jwks", clock=ticks)
            assert [await why(keys, "k1") for _ in range(3)] == [None] * 3
            server.issuers = [TWO]
            assert [await why(keys, "k2") for _ in range(3)] == [Why.INVALID] * 3
            assert len(server.asked) == 1
            ticks.now += REFETCH_SECONDS
            assert (await why(keys, "k2"), await why(keys, "k1"), len(server.asked)) == (None, Why.INVALID, 2)
            server.issuers = []
            ticks.now += FRESH_SECONDS
            assert keys.settled()
            ticks.now += 1
            assert (keys.settled(), await why(keys, "k2"), keys.generation) == (False, Why.INVALID, 3)
            server.issuers = [ONE]
            ticks.now += FRESH_SECONDS + 1
            assert (await why(keys, "k1"), keys.settled()) == (None, True)
            server.status = 500
            ticks.now += STALE_SECONDS
            assert (await why(keys, "k1"), keys.settled()) == (None, True)
            ticks.now += REFETCH_SECONDS
            assert (await why(keys, "k1"), keys.settled()) == (Why.UNAVAILABLE, False)

    asyncio.run(run())


def test_many_wait_for_one_fetch_and_nobody_in_an_outage() -> None:
    """The first look at old keys is waited for; after a failed one, known keys serve while the next is under way."""

    async def run() -> None:
        server, ticks = KeyServer(), Clock()
        server.issuers, server.gate = [ONE], asyncio.Event()
        async with server.serving() as root:
            keys = KeySet(root, f"{root}/jwks", clock=ticks)
            waiting = [asyncio.create_task(why(keys, "k1")) for _ in range(20)]
            await server.arrived.wait()
            assert not any(task.done() for task in waiting)
            waiting[0].cancel()
            server.gate.set()
            assert await asyncio.gather(*waiting[1:]) == [None] * 19
            assert len(server.asked) == 1
            server.status = 503
            ticks.now += FRESH_SECONDS + 1
            assert await why(keys, "k1") is None
            server.gate.clear()
            server.arrived.clear()
            ticks.now += REFETCH_SECONDS
            assert await why(keys, "k1") is None
            await server.arrived.wait()
            assert len(server.asked) == 3

    asyncio.run(run())


MISBEHAVIOUR: list[Callable[[KeyServer], object]] = [
    lambda s: setattr(s, "status", 404),
    lambda s: setattr(s, "status", 302),
    lambda s: setattr(s, "padding", "x" * discovery.MAX_BYTES),
    lambda s: s.document.update(issuer="https://other.test"),
    lambda s: s.document.update(jwks_uri="http://keys.test/jwks"),
    lambda s: s.document.update(jwks_uri="file:///etc/passwd"),
    lambda s: s.document.update(jwks_uri=None),
    lambda s: s.document.clear(),
    lambda s: setattr(s, "gate", asyncio.Event()),
]


@pytest.mark.parametrize("misbehave", MISBEHAVIOUR, ids=range(len(MISBEHAVIOUR)))
def test_a_provider_that_misbehaves_is_one_without_keys(
    misbehave: Callable[[KeyServer], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirects, floods, silence and another issuer's document lead to no keys, and to no other error."""
    monkeypatch.setattr(discovery, "FETCH_TIMEOUT_SECONDS", 0.5)

    async def run() -> None:
        server = KeyServer()
        server.issuers = [ONE]
        async with server.serving() as root:
            good = KeySet(root, None)
            assert await why(good, "k1") is None
            assert server.asked == ["/.well-known/openid-configuration", "/jwks"]
            misbehave(server)
            assert await why(KeySet(root, None), "k1") is Why.UNAVAILABLE

    asyncio.run(run())


def test_https_is_checked_and_never_left(tmp_path: Path) -> None:
    """The provider's certificate is by the roots that were named, and what is found over https stays there."""
    (tmp_path / "other").mkdir()
    certificate, key = self_signed(tmp_path, "localhost")
    other, _ = self_signed(tmp_path / "other", "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    async def run() -> None:
        server = KeyServer()
        server.issuers = [ONE]
        async with server.serving(tls) as root:
            assert await why(KeySet(root, None, certificate), "k1") is None
            assert await why(KeySet(root, None, other), "k1") is Why.UNAVAILABLE
            assert await why(KeySet(root, None), "k1") is Why.UNAVAILABLE
            async with KeyServer().serving() as plain:
                server.document["jwks_uri"] = f"{plain}/jwks"
                assert await why(KeySet(root, None, certificate), "k1") is Why.UNAVAILABLE

    asyncio.run(run())


def test_an_address_that_nobody_serves() -> None:
    """A refused connection, a bad address and a missing file of roots are reported like any outage."""
    for keys in (
        KeySet("x", "http://127.0.0.1:1/jwks"),
        KeySet("x", "http://[/jwks"),
        KeySet("x", "https://127.0.0.1:1/jwks", Path("none.pem")),
        KeySet("x", None),
        KeySet("http://id.test", None),
    ):
        assert asyncio.run(why(keys, "k1")) is Why.UNAVAILABLE


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://id.test/a", True),
        ("http://127.0.0.1:1/a", True),
        ("http://[::1]/a", True),
        ("http://localhost/a", True),
        ("http://id.test/a", False),
        ("http://127.0.0.1.id.test", False),
        ("http://127.0.0.1@id.test", False),
        ("https://user:pw@id.test", False),
        ("https://", False),
        ("https://[", False),
        ("file:///x", False),
        ("", False),
    ],
)
def test_addresses_that_discovery_trusts(address: str, expected: bool) -> None:
    """Only answers that nobody can replace on the way."""
    assert trustworthy(address) is expected


RSA_KEYS = {
    bits: RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, bits).public_key(), True) for bits in (1024, 2048)
}


@pytest.mark.parametrize(
    ("entry", "usable"),
    [
        (ONE.jwk(), True),
        (RSA_KEYS[2048], True),
        (RSA_KEYS[1024], False),
        (ONE.jwk() | {"use": "enc"}, False),
        (ONE.jwk() | {"key_ops": ["sign"]}, False),
        (ONE.jwk() | {"key_ops": "verify"}, False),
        (ONE.jwk() | {"key_ops": ["verify"]}, True),
        (ONE.jwk() | {"d": "AA"}, False),
        (ONE.jwk() | {"alg": "HS256"}, False),
        (ONE.jwk() | {"alg": "none"}, False),
        (ONE.jwk() | {"alg": 7}, False),
        (ONE.jwk() | {"x": 7}, False),
        (ONE.jwk() | {"crv": "P-999", "alg": None}, False),
        ({"kty": "oct", "k": "c2VjcmV0"}, False),
        ({"kty": ["EC"]}, False),
        ({}, False),
        ("key", False),
    ],
)  # fmt: skip
def test_keys_that_are_used(entry: Any, usable: bool) -> None:
    """Public asymmetric ones for signatures, of a safe size; anything else in a set is passed over."""
    assert len(parse_jwks(json.dumps({"keys": [entry]}).encode())) == int(usable)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 5000])
def test_documents_that_are_no_key_set(data: bytes) -> None:
    """They are an error, not an empty set."""
    with pytest.raises(ValueError):
        parse_jwks(data)
