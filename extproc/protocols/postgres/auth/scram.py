"""SCRAM-SHA-256 (RFC 5802, RFC 7677): keys, stored verifiers, and the attributes that messages are made of.

The halves are `scram_client` and `scram_server`. Nonces and salts come in as arguments.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from extproc.protocols.postgres.auth.saslprep import saslprep

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
BINDING = "tls-server-end-point"
"""The only kind of channel binding that PostgreSQL has ("SASL Authentication")."""

KEY_BYTES = 32
MIN_ITERATIONS = 4096
"""RFC 7677, section 4. What asks for fewer makes a password cheap to guess."""
MAX_ITERATIONS = 1_000_000
"""What asks for more makes us work for seconds."""
MAX_MESSAGE_BYTES = 1024
"""PostgreSQL's own limit for a SASL message (PG_MAX_SASL_MESSAGE_LENGTH)."""
# Some clients take no shorter one (pg8000); PostgreSQL's have 16 bytes.
_MIN_SALT_BYTES = 12
_MAX_SALT_BYTES = 256
_MOCK_SALT_BYTES = 16


class ScramRefused(Exception):
    """The exchange fails. The text is ours and quotes nothing; `sqlstate` is what PostgreSQL says in such a case."""

    def __init__(self, message: str, sqlstate: str = "08P01") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept of a password to check proofs by it. Nobody can log in with it, but who has it can play the server.
    `doomed` ones are of nobody: no proof is right for them."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    doomed: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what is out of bounds."""
        if not MIN_ITERATIONS <= self.iterations <= MAX_ITERATIONS:
            raise ValueError(f"a SCRAM verifier has {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations")
        if not _MIN_SALT_BYTES <= len(self.salt) <= _MAX_SALT_BYTES:
            raise ValueError(f"a SCRAM verifier has a salt of {_MIN_SALT_BYTES} to {_MAX_SALT_BYTES} bytes")
        if not len(self.stored_key) == len(self.server_key) == KEY_BYTES:
            raise ValueError(f"a SCRAM verifier has keys of {KEY_BYTES} bytes")

    @classmethod
    def of(cls, password: bytes, salt: bytes, iterations: int = MIN_ITERATIONS) -> Self:
        """The verifier of a password. Takes a millisecond and more: `iterations` is what makes it slow."""
        salted = salted_password(password, salt, iterations)
        return cls(salt, iterations, stored_key(client_key(salted)), server_key(salted))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, which is how PostgreSQL keeps it
        ("pg_authid"). Raises ValueError, which does not quote it."""
        scheme, *parts = text.split("$")
        pairs = [part.split(":") for part in parts]
        if scheme != PLAIN or [len(pair) for pair in pairs] != [2, 2]:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        (count, salt), (stored, server) = pairs
        try:
            return cls(unbase64(salt), iterations_of(count), unbase64(stored), unbase64(server))
        except ScramRefused as error:
            raise ValueError(f"not a SCRAM-SHA-256 verifier: {error}") from None

    @classmethod
    def mock(cls, user: str, key: bytes, iterations: int = MIN_ITERATIONS) -> Self:
        """What stands in for the verifier of a user whom nobody knows, so that asking does not tell who is known. The
        salt is always the same one for a name, as a real one is; `key` is a secret of the gateway."""
        salt = hashlib.sha256(user.encode("utf-8", "surrogateescape") + key).digest()[:_MOCK_SALT_BYTES]
        return cls(salt, iterations, bytes(KEY_BYTES), bytes(KEY_BYTES), doomed=True)

    def text(self) -> str:
        """What `parse` reads."""
        keys = f"{base64_text(self.stored_key)}:{base64_text(self.server_key)}"
        return f"{PLAIN}${self.iterations}:{base64_text(self.salt)}${keys}"


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword of RFC 5802, section 3."""
    return hashlib.pbkdf2_hmac("sha256", saslprep(password), salt, iterations)


def client_key(salted: bytes) -> bytes:
    """ClientKey of RFC 5802, section 3."""
    return mac(salted, b"Client Key")


def server_key(salted: bytes) -> bytes:
    """ServerKey of RFC 5802, section 3."""
    return mac(salted, b"Server Key")


def stored_key(key: bytes) -> bytes:
    """StoredKey of a ClientKey: RFC 5802, section 3."""
    return hashlib.sha256(key).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256."""
    return hmac.digest(key, data, "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    """Two byte strings of the same length, exclusive-or."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def nonce_or_error(nonce: str) -> str:
    """Our own half of the nonce. Raises ValueError where RFC 5802, section 7, does not allow it."""
    if not printable(nonce):
        raise ValueError("a SCRAM nonce is printable ASCII without commas")
    return nonce


def printable(value: str) -> bool:
    """RFC 5802, section 7: `printable`, at least one."""
    return bool(value) and all("!" <= char <= "~" and char != "," for char in value)


def message_text(message: bytes) -> str:
    """A message as text. Raises ScramRefused where it is empty, too long, or has bytes that no message of ours needs:
    names are not used in PostgreSQL, and all else is ASCII."""
    if not message:
        raise ScramRefused("the SCRAM message is empty")
    if len(message) > MAX_MESSAGE_BYTES:
        raise ScramRefused("the SCRAM message is too long")
    if 0 in message:
        raise ScramRefused("the SCRAM message has a zero byte")
    # Bytes, one to one: a name may be in any encoding, and what is hashed is what came.
    return message.decode("latin-1")


def attributes(text: str, expected: Sequence[str]) -> dict[str, str]:
    """The attributes of a message that begins with the `expected` ones, in that order. Others may follow, once each
    (RFC 5802, section 5.1: optional extensions are ignored). Raises ScramRefused."""
    found: dict[str, str] = {}
    for number, part in enumerate(text.split(",")):
        name, equals, value = part.partition("=")
        if not (len(name) == 1 and name.isascii() and name.isalpha() and equals) or name in found:
            raise ScramRefused("the SCRAM message is not a list of attributes")
        if name == "m":
            raise ScramRefused("the SCRAM message has a mandatory extension", "0A000")
        if number < len(expected) and name != expected[number]:
            raise ScramRefused(f"the SCRAM message has no attribute {expected[number]} where it belongs")
        found[name] = value
    if len(found) < len(expected):
        raise ScramRefused(f"the SCRAM message has no attribute {expected[len(found)]}")
    return found


def iterations_of(value: str) -> int:
    """An iteration count. Raises ScramRefused where it is not a number between the bounds."""
    if not (value.isascii() and value.isdigit()) or value.startswith("0") or len(value) > len(str(MAX_ITERATIONS)):
        raise ScramRefused("the SCRAM iteration count is not a number in bounds")
    count = int(value)
    if not MIN_ITERATIONS <= count <= MAX_ITERATIONS:
        raise ScramRefused(f"the SCRAM iteration count is not between {MIN_ITERATIONS} and {MAX_ITERATIONS}")
    return count


def base64_text(data: bytes) -> str:
    """Base64 with padding."""
    return base64.b64encode(data).decode()


def unbase64(value: str) -> bytes:
    """What base64 says, if it says it as `base64_text` does. Raises ScramRefused."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except ValueError:
        raise ScramRefused("the SCRAM message has something that is not base64") from None
    if base64_text(data) != value:
        raise ScramRefused("the SCRAM message has something that is not base64")
    return data
