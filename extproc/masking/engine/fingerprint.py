"""Fingerprints of credentials: how one is recognised by a process that does not hold it.

A fingerprint says how long a spelling of the secret is, how it begins, which characters it is made of, and a keyed hash
of the whole. The beginning (the anchor) makes the search cheap; the hash makes it sure. What a fingerprint gives away
is the anchor, at most a sixth of a long secret and never more than four bytes, so it is a secret too, if a lesser one.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus

CREDENTIAL = "credential"
"""The kind of a value that a fingerprint finds."""

SHORTEST = 8
"""Bytes below which a secret has no fingerprint: it would be found in ordinary text, and its hash be guessed."""

WINDOW = 1024
"""Bytes of a spelling that one fingerprint covers; a longer one has several. No more is ever held back for it."""

DIGEST_BYTES = 16
_VERSION = 2
_ANCHOR = 4


class Alphabet(StrEnum):
    """What a spelling is made of: the narrowest that fits. Text outside it ends a candidate early."""

    HEX = "hex"
    UPPER = "upper"
    LOWER = "lower"
    WORD = "word"
    TOKEN = "token"  # noqa: S105 - the name of an alphabet
    GRAPHIC = "graphic"
    ANY = "any"


MEMBERS: dict[Alphabet, str] = {
    Alphabet.HEX: "0-9A-Fa-f",
    Alphabet.UPPER: "2-7A-Z",
    Alphabet.LOWER: "2-7a-z",
    Alphabet.WORD: "0-9A-Za-z",
    Alphabet.TOKEN: "0-9A-Za-z._~+/=%-",
    Alphabet.GRAPHIC: r"\x21-\x7e",
    Alphabet.ANY: r"\x00-\xff",
}
"""Each alphabet, as inside the brackets of a regular expression."""

_WHOLE = {alphabet: re.compile(f"[{members}]*".encode(), re.DOTALL) for alphabet, members in MEMBERS.items()}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One spelling (or a piece of at most WINDOW bytes of one). `length` is in bytes, `digest` the hash of all of
    them under the key of the collection it belongs to."""

    length: int
    anchor: bytes
    alphabet: Alphabet
    digest: bytes


@dataclass(frozen=True, eq=False, slots=True)
class Fingerprints:
    """All fingerprints that are looked for, and their key (32 bytes). Compared by identity, for detectors are cached
    by it: load a document once, not once a request. False where there are none."""

    key: bytes
    items: tuple[Fingerprint, ...]

    def __bool__(self) -> bool:
        return bool(self.items)


NONE = Fingerprints(b"", ())
"""No fingerprint: nothing is looked for, and nothing is paid."""


class FingerprintsUnreadable(ValueError):
    """A document that holds no fingerprints of ours. The message quotes nothing of it."""


def digest_of(window: bytes, key: bytes) -> bytes:
    """The keyed hash of a window."""
    return blake2b(window, digest_size=DIGEST_BYTES, key=key, person=b"holdpoint-cred").digest()


def fingerprints_of(secret: bytes, prefix: str, key: bytes) -> tuple[Fingerprint, ...]:
    """The fingerprints of a secret that goes upstream as `prefix` and the secret, in all its usual spellings; none for
    a secret of less than SHORTEST bytes."""
    found: dict[tuple[int, bytes, bytes], Fingerprint] = {}
    for piece in _pieces(secret, prefix.encode("utf-8", "surrogatepass")):
        shown = anchor_length(len(piece))
        for spelling, anchor in _spellings(piece, shown):
            for window in _windows(spelling):
                fingerprint = Fingerprint(len(window), window[:anchor], _alphabet(window), digest_of(window, key))
                found[fingerprint.length, fingerprint.anchor, fingerprint.digest] = fingerprint
    return tuple(found.values())


def anchor_length(length: int) -> int:
    """How many bytes of a secret its fingerprint shows: a sixth, so that what is left to guess stays long, and two at
    least, for one byte alone would be a candidate everywhere."""
    return max(2, min(_ANCHOR, length // 6))


def _pieces(secret: bytes, prefix: bytes) -> Iterator[bytes]:
    """What is secret in a header's value: all of it; what follows its scheme; the values of its parameters; of Basic,
    user and password, and the password alone."""
    yield from _worth((secret,))
    value = prefix + secret
    scheme, _, token = value.partition(b" ")
    token = token.strip()
    if token and b" " not in token:
        yield from _worth((token,))
        if scheme.lower() == b"basic":
            try:
                pair = base64.b64decode(token, validate=True)
            except binascii.Error:
                return
            yield from _worth((pair, pair.partition(b":")[2]))
    yield from _worth(_PARAMETER.findall(value))


_PARAMETER = re.compile(rb'(?:^|[;,\s])[A-Za-z0-9_.-]+="?([^";,\s]{16,})')


def _worth(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (piece for piece in pieces if len(piece) >= SHORTEST)


def _spellings(piece: bytes, shown: int) -> Iterator[tuple[bytes, int]]:
    """Each spelling of a piece, with how many of its bytes show no more than the first `shown` of the secret."""
    for spelling in dict.fromkeys(_plain(piece)):
        yield spelling, shown
        if (other := _as_text(spelling)) != spelling:
            yield other, shown
    for spelling in (piece.hex().encode(), piece.hex().upper().encode()):
        yield spelling, 2 * shown
    for skipped in range(3):
        # Inside a longer base64 text it stands at one of three alignments; what a neighbour has a part in is left out.
        first, last = -(-8 * skipped // 6), 8 * (skipped + len(piece)) // 6
        anchor = (8 * (skipped + shown) - 6 * first) // 6
        coded = base64.b64encode(bytes(skipped) + piece)[first:last]
        for spelling in dict.fromkeys((coded, coded.replace(b"+", b"-").replace(b"/", b"_"))):
            yield spelling, anchor
    for skipped in range(5):
        first, last = -(-8 * skipped // 5), 8 * (skipped + len(piece)) // 5
        anchor = (8 * (skipped + shown) - 5 * first) // 5
        coded = base64.b32encode(bytes(skipped) + piece)[first:last]
        for spelling in (coded, coded.lower()):
            yield spelling, anchor


def _plain(piece: bytes) -> Iterator[bytes]:
    """The piece as it is, percent-encoded, and escaped for JSON and HTML."""
    yield piece
    yield piece.lower()  # as Envoy writes names of headers
    for safe in ("", "/", "!'()*", "/:"):
        coded = quote(piece, safe=safe).encode()
        yield coded
        yield _LOWER.sub(lambda found: found[0].lower(), coded)
    yield quote_plus(piece).encode()
    # Headers reach us one character a byte.
    yield piece.decode("latin-1").encode()
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return
    escaped = json.dumps(text)[1:-1]
    yield escaped.encode()
    yield escaped.replace("/", "\\/").encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield html.escape(text).encode()


_LOWER = re.compile(rb"%[0-9A-F]{2}")


def _as_text(spelling: bytes) -> bytes:
    """What becomes of a spelling that is no UTF-8 where it is taken for text: as JSON, for one, has to."""
    try:
        spelling.decode()
    except UnicodeDecodeError:
        return spelling.decode("latin-1").encode()
    return spelling


def _windows(spelling: bytes) -> Iterator[bytes]:
    """A spelling in pieces of at most WINDOW bytes, none of them short."""
    count = -(-len(spelling) // WINDOW)
    size = -(-len(spelling) // count)
    return (spelling[at : at + size] for at in range(0, len(spelling), size))


def _alphabet(window: bytes) -> Alphabet:
    return next(alphabet for alphabet, whole in _WHOLE.items() if whole.fullmatch(window))


def dump(current: Iterable[Fingerprint], previous: Iterable[Fingerprint], key: bytes) -> bytes:
    """A document of fingerprints. `previous` are those of credentials that were replaced: what is still on its way may
    hold them."""
    return json.dumps(
        {
            "version": _VERSION,
            "key": key.hex(),
            "current": [_row(item) for item in current],
            "previous": [_row(item) for item in previous],
        }
    ).encode()


def load(data: bytes) -> Fingerprints:
    """All fingerprints of a document. Raises FingerprintsUnreadable."""
    return Fingerprints(*_read(data, ("current", "previous")))


def load_current(data: bytes) -> Fingerprints:
    """Those of the credentials in use. Raises FingerprintsUnreadable."""
    return Fingerprints(*_read(data, ("current",)))


def _read(data: bytes, parts: tuple[str, ...]) -> tuple[bytes, tuple[Fingerprint, ...]]:
    try:
        document = json.loads(data)
        if document["version"] != _VERSION:
            raise FingerprintsUnreadable(f"fingerprints of another version; this program knows {_VERSION}")
        key = bytes.fromhex(document["key"])
        if len(key) != 32:
            raise ValueError
        rows = chain.from_iterable(document[part] for part in parts)
        return key, tuple(dict.fromkeys(_fingerprint(row) for row in rows))
    except FingerprintsUnreadable:
        raise
    except (ValueError, KeyError, TypeError):
        raise FingerprintsUnreadable("this is no document of fingerprints; a restart makes a new one") from None


def _row(item: Fingerprint) -> list[Any]:
    return [item.length, item.anchor.hex(), item.alphabet.value, item.digest.hex()]


def _fingerprint(row: Any) -> Fingerprint:
    length, anchor, alphabet, digest = row
    item = Fingerprint(int(length), bytes.fromhex(anchor), Alphabet(alphabet), bytes.fromhex(digest))
    if not (2 <= len(item.anchor) < item.length <= WINDOW and len(item.digest) == DIGEST_BYTES):
        raise ValueError
    return item
