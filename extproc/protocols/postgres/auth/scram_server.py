"""The server's half of SCRAM-SHA-256: what the gateway says to a client whose verifier it has."""

import hmac

from extproc.protocols.postgres.auth.scram import (
    BINDING,
    KEY_BYTES,
    PLAIN,
    PLUS,
    ScramRefused,
    Verifier,
    attributes,
    base64_text,
    mac,
    message_text,
    nonce_or_error,
    printable,
    stored_key,
    unbase64,
    xor,
)


class ScramServer:
    """One exchange: offer `mechanisms`, then `first`, then `final`. A doomed verifier's goes the same way, in the same
    time, and fails as a wrong password does."""

    def __init__(self, verifier: Verifier, nonce: str, binding: bytes | None) -> None:
        """`binding` is tls-server-end-point of the certificate that the client saw (RFC 5929), None without TLS of our
        own or where the certificate has none. Raises ValueError for a nonce that is none."""
        self.mechanisms: tuple[str, ...] = (PLAIN,) if binding is None else (PLUS, PLAIN)
        self._verifier = verifier
        self._nonce = nonce_or_error(nonce)
        self._binding = binding
        self._whole_nonce = ""
        self._bound = b""
        self._said = ""

    def first(self, mechanism: str, message: bytes) -> bytes:
        """server-first-message for a client-first-message. Raises ScramRefused."""
        if mechanism not in self.mechanisms:
            raise ScramRefused("the client chose a SASL mechanism that was not offered")
        text = message_text(message)
        flag, _, rest = text.partition(",")
        authorization, comma, bare = rest.partition(",")
        if not comma:
            raise ScramRefused("the SCRAM message has no channel binding header")
        if authorization:
            raise ScramRefused("the client uses an authorization identity, which is not supported", "0A000")
        bound = self._check_flag(flag, mechanism)
        # The name is not used: the startup message has it ("SASL Authentication").
        found = attributes(bare, "nr")
        if not printable(found["r"]):
            raise ScramRefused("the client's nonce is not printable")
        self._bound = f"{flag},,".encode() + bound
        self._whole_nonce = found["r"] + self._nonce
        answer = f"r={self._whole_nonce},s={base64_text(self._verifier.salt)},i={self._verifier.iterations}"
        self._said = f"{bare},{answer}"
        return answer.encode()

    def final(self, message: bytes) -> bytes:
        """server-final-message for a client-final-message: the proof was right. Raises ScramRefused, 28P01 where it
        was not."""
        text = message_text(message)
        unproven, comma, proof_text = text.rpartition(",p=")
        if not comma or not self._said:
            raise ScramRefused("the SCRAM message has no proof")
        found = attributes(unproven, "cr")
        # Both are known to the client: nothing is to be learnt from how long the comparison takes.
        if found["c"] != base64_text(self._bound):
            raise ScramRefused("the SCRAM channel binding does not match", "28000")
        if found["r"] != self._whole_nonce:
            raise ScramRefused("the SCRAM nonce does not match")
        proof = unbase64(proof_text)
        if len(proof) != KEY_BYTES:
            raise ScramRefused("the SCRAM proof has not the length of a key")
        said = f"{self._said},{unproven}".encode("latin-1")
        key = xor(proof, mac(self._verifier.stored_key, said))
        right = hmac.compare_digest(stored_key(key), self._verifier.stored_key)
        self._said = ""
        if not right or self._verifier.doomed:
            raise ScramRefused("the password is wrong", "28P01")
        return f"v={base64_text(mac(self._verifier.server_key, said))}".encode()

    def _check_flag(self, flag: str, mechanism: str) -> bytes:
        """RFC 5802, section 6, gs2-cbind-flag; what the client has to have bound to. Raises ScramRefused."""
        if flag == f"p={BINDING}" and mechanism == PLUS and self._binding is not None:
            return self._binding
        if flag.startswith("p="):
            raise ScramRefused("the SCRAM channel binding is not one that was offered")
        if flag not in ("n", "y"):
            raise ScramRefused("the SCRAM message has no channel binding flag")
        if mechanism == PLUS:
            raise ScramRefused("the SCRAM message has no channel binding, and the chosen mechanism asks for it")
        if flag == "y" and self._binding is not None:
            raise ScramRefused("channel binding was offered, and the client did not see the offer", "28000")
        return b""
