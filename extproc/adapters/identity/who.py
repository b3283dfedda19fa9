"""Who an exchange is of, from all that it shows: bearer tokens in several headers, and a client certificate."""

import base64
import binascii
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from extproc.access.check import check
from extproc.access.networks import within
from extproc.access.ports import Standing
from extproc.adapters.identity import claims as reading
from extproc.adapters.identity.agent_tokens import AgentTokens
from extproc.adapters.identity.certificates import Certificates
from extproc.adapters.identity.verify import Proven, Tokens
from extproc.domain.identity import CARRIERS, Certificate, Identified, IdentityRefused, Shown, Why
from extproc.domain.principal import Principal

# Always meant for us: an agent has no credential of an upstream's, and these never go on.
AUTHORIZATIONS = frozenset({"authorization", "proxy-authorization"})
# In the other carriers, clients of well-known APIs send a key: ours where it is a token of ours, else the upstream's.

REMEMBERED = 4096
_HOW = "send a token as `Authorization: Bearer <token>`, or as the password of Basic"


class Gatekeeper:
    """domain.identity.Identities. Belongs to one event loop.

    A signature is verified once for as long as its keys count; everything else is looked at for every request."""

    def __init__(
        self,
        tokens: Tokens,
        agent_tokens: AgentTokens,
        certificates: Certificates,
        standing: Standing,
        *,
        remember: int = REMEMBERED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`remember` bounds how many credentials are kept in mind; `clock` gives seconds since the epoch."""
        self._tokens = tokens
        self._agent_tokens = agent_tokens
        self._certificates = certificates
        self._standing = standing
        self._limit = remember
        self._clock = clock
        # Of a token only this is kept, under a key that dies with the process.
        self._key = secrets.token_bytes(32)
        self._memory: OrderedDict[bytes, Proven] = OrderedDict()

    def remembered(self, shown: Shown) -> Identified | None:
        """See Identities."""
        proofs: list[tuple[str, Proven]] = []
        for header, token in _carried(shown):
            proof = self._recall(self._name(token))
            if proof is not None:
                proofs.append((header, proof))
            elif header in AUTHORIZATIONS or reading.looks_signed(token):
                return None
        return self._conclude(shown, proofs)

    def ours(self, shown: Shown) -> frozenset[str]:
        """See Identities."""
        return frozenset(n for n, v in shown.headers if n in CARRIERS and (n in AUTHORIZATIONS or self._ours(v)))

    def unproven(self, shown: Shown) -> bool:
        """See Identities."""
        try:
            carried = _carried(shown)
        except IdentityRefused:
            return False
        # A token that is not ours by what it says is refused, or let be, before any signature is looked at.
        return any(self._name(token) not in self._memory and self._ours(token) for _, token in carried)

    async def identify(self, shown: Shown) -> Identified:
        """See Identities."""
        proofs: list[tuple[str, Proven]] = []
        for header, token in _carried(shown):
            if header in AUTHORIZATIONS or self._ours(token):
                proofs.append((header, await self._prove(token)))
        return self._conclude(shown, proofs)

    async def _prove(self, token: str) -> Proven:
        name = self._name(token)
        proof = self._memory.get(name)
        if proof is not None:
            await proof.keys.refresh()
        proof = self._recall(name)
        if proof is None:
            # Under keys that went, it was good; whether it is under these has to be shown once.
            self._memory.pop(name, None)
            claims = reading.peek(token)[1]
            ours = self._agent_tokens.ours(claims)
            proof = await (self._agent_tokens.prove(token) if ours else self._tokens.prove(token))
            self._memory[name] = proof
            while len(self._memory) > self._limit:
                self._memory.popitem(last=False)
        return proof

    def _recall(self, name: bytes) -> Proven | None:
        proof = self._memory.get(name)
        if proof is None or not proof.stands():
            return None
        self._memory.move_to_end(name)
        return proof

    def _name(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()

    def _ours(self, token: str) -> bool:
        """Whether an API key is a token of ours; whose it is decides its issuer and audience, not its validity."""
        if not reading.looks_signed(token):
            return False
        try:
            claims = reading.peek(token)[1]
        except IdentityRefused:
            return False
        return self._agent_tokens.ours(claims) or self._tokens.ours(claims)

    def _conclude(self, shown: Shown, proofs: Sequence[tuple[str, Proven]]) -> Identified:
        """One principal out of everything that was proven, if it may be here now. Raises IdentityRefused."""
        now = self._clock()
        named = self._certificates.principal(shown.certificate) if self._certificates and shown.certificate else None
        for _, proof in proofs:
            check(proof.principal, self._standing, now)
            _bound(proof, shown.certificate, named)
            if proof.networks is not None and not within(proof.networks, shown.source):
                raise IdentityRefused("this token does not count from this network", Why.WRONG_NETWORK, proof.principal)
        if named is not None:
            # Also where a token speaks for it: whoever is frozen may not be here under another name.
            check(named, self._standing, now)
        principal = proofs[0][1].principal if proofs else named
        if principal is None:
            raise IdentityRefused(f"nobody is named; {_HOW}", Why.MISSING)
        for _, proof in proofs[1:]:
            if _plain(proof.principal) != _plain(principal):
                raise IdentityRefused("the request names two principals; send one credential", Why.CONFLICT)
        return Identified(principal, frozenset(header for header, _ in proofs))


def _carried(shown: Shown) -> list[tuple[str, str]]:
    """The tokens and keys that were shown, with the header of each. Raises IdentityRefused."""
    carried: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in shown.headers:
        if name not in CARRIERS:
            continue
        if name in seen:
            raise IdentityRefused(f"there is more than one {name} header; send one")
        seen.add(name)
        carried.append((name, _token(name, value) if name in AUTHORIZATIONS else value))
    return carried


def _token(header: str, value: str) -> str:
    """The token in an Authorization header: RFC 6750, or RFC 7617 with the token as the password or, without one, as
    the user's name. Raises IdentityRefused."""
    scheme, _, rest = value.partition(" ")
    scheme, rest = scheme.lower(), rest.strip(" ")
    if scheme == "bearer" and rest:
        return rest
    if scheme != "basic":
        raise IdentityRefused(f"the {header} header is neither Bearer nor Basic; {_HOW}")
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise IdentityRefused(f"the {header} header's Basic part can't be decoded; {_HOW}") from None
    if not (password or user):
        raise IdentityRefused(f"the {header} header is empty; {_HOW}")
    return password or user


def _bound(proof: Proven, certificate: Certificate | None, named: Principal | None) -> None:
    """Hold a token against the certificate that it came with. Raises IdentityRefused."""
    if proof.bound_to is not None:
        if certificate is None:
            raise IdentityRefused("the token is bound to a client certificate (cnf), and none was shown")
        if proof.bound_to != certificate.digest.lower():
            raise IdentityRefused("the token is bound to another client certificate (cnf)", Why.CONFLICT)
        return
    if named is not None and (named.issuer, named.subject) != (proof.principal.issuer, proof.principal.subject):
        raise IdentityRefused("the client certificate and the token name two principals", Why.CONFLICT)


def _plain(principal: Principal) -> Principal:
    """All that matters of a principal, whichever of its tokens it shows."""
    return replace(principal, credential="", expires_at=None)
