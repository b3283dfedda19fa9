"""The client's half of SCRAM-SHA-256: what the gateway says to a server."""

import hmac

from extproc.protocols.postgres.auth.scram import (
    BINDING,
    PLAIN,
    PLUS,
    ScramRefused,
    attributes,
    base64_text,
    client_key,
    iterations_of,
    mac,
    message_text,
    nonce_or_error,
    printable,
    salted_password,
    server_key,
    stored_key,
    unbase64,
    xor,
)

# RFC 5802, section 7, `server-error-value`: the words that may be repeated to an operator.
_ERRORS = frozenset(
    {
        "invalid-encoding",
        "extensions-not-supported",
        "invalid-proof",
        "channel-bindings-dont-match",
        "server-does-support-channel-binding",
        "channel-binding-not-supported",
        "unsupported-channel-binding-type",
        "unknown-user",
        "invalid-username-encoding",
        "no-resources",
        "other-error",
    }
)


class ScramClient:
    """One exchange: `first`, `final`, `verify`, in this order. Only after `verify` has the server shown that it knows
    the password, too."""

    def __init__(self, password: bytes, nonce: str, binding: bytes | None, plus: bool) -> None:
        """`binding` is tls-server-end-point of the server's certificate (RFC 5929) and None without TLS of our own;
        with `plus` the server offered SCRAM-SHA-256-PLUS. Raises ValueError for a nonce that is none, and for `plus`
        without a binding."""
        if plus and binding is None:
            raise ValueError("SCRAM-SHA-256-PLUS binds to a channel")
        self.mechanism = PLUS if plus else PLAIN
        self._password = password
        self._nonce = nonce_or_error(nonce)
        # RFC 5802, section 6: "y" says that we would have bound and were not offered it. A server that did offer it
        # sees by that, that somebody between took the offer away.
        flag = f"p={BINDING}" if plus else "n" if binding is None else "y"
        self._header = f"{flag},,"
        self._bound = self._header.encode() + (binding if plus and binding is not None else b"")
        # No name: the server takes it from the startup message ("SASL Authentication").
        self._bare = f"n=,r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """client-first-message."""
        return (self._header + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        """client-final-message. Slow: it derives the key, in as many iterations as the server says. Raises
        ScramRefused."""
        text = message_text(server_first)
        found = attributes(text, "rsi")
        nonce = found["r"]
        ours = hmac.compare_digest(nonce[: len(self._nonce)].encode("latin-1"), self._nonce.encode())
        if not ours or len(nonce) == len(self._nonce) or not printable(nonce):
            raise ScramRefused("the server's nonce does not go on from ours")
        salt = unbase64(found["s"])
        if not salt:
            raise ScramRefused("the server's salt is empty")
        salted = salted_password(self._password, salt, iterations_of(found["i"]))
        unproven = f"c={base64_text(self._bound)},r={nonce}"
        said = f"{self._bare},{text},{unproven}".encode("latin-1")
        key = client_key(salted)
        proof = xor(key, mac(stored_key(key), said))
        self._signature = mac(server_key(salted), said)
        return f"{unproven},p={base64_text(proof)}".encode()

    def verify(self, server_final: bytes) -> None:
        """Check that the server knows the password. Raises ScramRefused where it does not, or says that we do not."""
        text = message_text(server_final)
        if text.startswith("e="):
            error = text[2:].partition(",")[0]
            raise ScramRefused(f"the server refused: {error if error in _ERRORS else 'other-error'}", "28P01")
        signature = unbase64(attributes(text, "v")["v"])
        if not self._signature or not hmac.compare_digest(signature, self._signature):
            raise ScramRefused("the server did not prove that it knows the password", "28000")
