"""The use cases of access: what administrators do with agent tokens and freezes. Order comes from the store."""

import ipaddress
import math
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from extproc.access.model import AgentToken, Freeze
from extproc.access.register import Register, TokenState, fold, name_of, state_of
from extproc.access.store import AccessStore, Ledger
from extproc.domain.principal import Kind, Principal

DAY_SECONDS = 86400
DEFAULT_LIFETIME_SECONDS = 30 * DAY_SECONDS
MIN_LIFETIME_SECONDS = 60
MAX_LIFETIME_SECONDS = 366 * DAY_SECONDS
# Expired tokens can still be listed for so long; the journal keeps what must last.
KEEP_SECONDS = 90 * DAY_SECONDS


class Refused(StrEnum):
    """Why it was not done as asked. A closed vocabulary: problem types build on it."""

    BAD_TOKEN = "bad-token"  # noqa: S105 (a code, not a token)
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_TOKEN = "unknown-token"  # noqa: S105 (a code, not a token)
    BAD_PRINCIPAL = "bad-principal"
    NOT_FROZEN = "not-frozen"
    BAD_PASSWORD = "bad-password"  # noqa: S105 (a code)
    UNKNOWN_PASSWORD = "unknown-password"  # noqa: S105 (a code)
    TOO_MANY_PASSWORDS = "too-many-passwords"


class AccessRefused(Exception):
    """A rule of access forbids it. `code` is for programs; the message is for people."""

    def __init__(self, code: Refused, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token as it is asked for. `targets` and `networks` (CIDR) None: all. `lifetime` is in seconds."""

    subject: str
    owner: tuple[str, str]
    kind: Kind = Kind.AGENT
    groups: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    lifetime: int = DEFAULT_LIFETIME_SECONDS
    note: str = ""


# Called inside the transaction, before the change counts and in the store's thread; what they raise undoes it.
TokenWitness = Callable[[AgentToken], None]
FreezeWitness = Callable[[Freeze], None]


class Access:
    """Tokens and freezes over a store. All methods raise AccessUnavailable; nothing was changed then."""

    def __init__(self, store: AccessStore, targets: Callable[[], Collection[str]]) -> None:
        """`targets` gives the names of the targets that there are at that moment."""
        self._store = store
        self._targets = targets

    async def issue(
        self, wanted: Wanted, by: Principal, sign: Callable[[AgentToken], str], witness: TokenWitness
    ) -> tuple[AgentToken, str]:
        """A new token, issued by `by`, and the text that `sign` makes of it. Raises AccessRefused (bad-token,
        unknown-target)."""
        checked = self._checked(wanted)

        def work(ledger: Ledger, now: float) -> tuple[AgentToken, str]:
            # Whole seconds, as JWTs have them.
            issued = math.floor(now)
            token = AgentToken(
                id=secrets.token_hex(8),
                subject=checked.subject,
                kind=checked.kind,
                groups=checked.groups,
                owner=checked.owner,
                targets=checked.targets,
                networks=checked.networks,
                note=checked.note,
                issued_at=issued,
                expires_at=issued + checked.lifetime,
                issued_by=(by.issuer, by.subject),
            )
            signed = sign(token)
            witness(token)
            ledger.add_token(token)
            ledger.forget_tokens(now - KEEP_SECONDS)
            return token, signed

        return await self._store.change(work)

    async def revoke(self, token_id: str, witness: TokenWitness) -> tuple[AgentToken, bool]:
        """The token, revoked from now on, and whether this call did it: `witness` is told only then. Raises
        AccessRefused (unknown-token)."""

        def work(ledger: Ledger, now: float) -> tuple[AgentToken, bool]:
            token = ledger.token(token_id)
            if token is None:
                raise AccessRefused(Refused.UNKNOWN_TOKEN, f"no token has the id {token_id}")
            if token.revoked_at is not None:
                return token, False
            revoked = replace(token, revoked_at=now)
            witness(revoked)
            ledger.set_revoked(token_id, now)
            return revoked, True

        return await self._store.change(work)

    async def tokens(
        self, owner: str | None = None, subject: str | None = None, state: TokenState | None = None
    ) -> tuple[tuple[AgentToken, TokenState], ...]:
        """Tokens with their states, newest first; only those of an owner's subject, of a subject, in a state."""
        register, now = await self._store.register()
        found = ((t, state_of(t, now)) for t in register.tokens.values())
        return tuple(
            (token, its)
            for token, its in sorted(found, key=lambda pair: (pair[0].issued_at, pair[0].id), reverse=True)
            if (owner is None or token.owner[1] == owner)
            and (subject is None or token.subject == subject)
            and (state is None or its is state)
        )

    async def freeze(
        self, subject: str, issuer: str | None, by: Principal, reason: str, witness: FreezeWitness
    ) -> tuple[Freeze, bool]:
        """The freeze, and whether this call made it: `witness` is told only then. One that stands stays as it is.
        Raises AccessRefused (bad-principal)."""
        if not fold(subject):
            raise AccessRefused(Refused.BAD_PRINCIPAL, "a freeze names a subject, or an issuer and its subject")

        def work(ledger: Ledger, now: float) -> tuple[Freeze, bool]:
            for known in ledger.freezes():
                if (known.issuer, known.subject) == (issuer, subject):
                    return known, False
            freeze = Freeze(issuer, subject, by.key, reason, now)
            witness(freeze)
            ledger.put_freeze(freeze)
            return freeze, True

        return await self._store.change(work)

    async def unfreeze(
        self, subject: str, issuer: str | None, witness: FreezeWitness
    ) -> tuple[Freeze, tuple[Freeze, ...]]:
        """Lift the freeze of exactly this name; gives it as it was, and the others of that subject, which stand. Raises
        AccessRefused (not-frozen)."""

        def work(ledger: Ledger, now: float) -> tuple[Freeze, tuple[Freeze, ...]]:
            like = [f for f in ledger.freezes() if fold(f.subject) == fold(subject)]
            for freeze in like:
                if (freeze.issuer, freeze.subject) == (issuer, subject):
                    witness(freeze)
                    ledger.remove_freeze(freeze)
                    return freeze, tuple(f for f in like if f is not freeze)
            there = ", ".join(repr(name_of(f.issuer, f.subject)) for f in like)
            hint = f"; there is: {there}" if like else ""
            raise AccessRefused(Refused.NOT_FROZEN, f"no freeze names exactly {name_of(issuer, subject)!r}{hint}")

        return await self._store.change(work)

    async def freezes(self) -> tuple[Freeze, ...]:
        """All freezes, oldest first."""
        return await self._store.freezes()

    async def register(self) -> Register:
        """Everything at this moment."""
        register, _ = await self._store.register()
        return register

    def _checked(self, wanted: Wanted) -> Wanted:
        if not wanted.subject or wanted.subject.split() != [wanted.subject]:
            raise AccessRefused(Refused.BAD_TOKEN, "subject: a name without spaces, as policies and records will show")
        if not wanted.owner[0].strip() or not wanted.owner[1].strip():
            raise AccessRefused(Refused.BAD_TOKEN, "owner: the issuer and subject of who answers for the token")
        if wanted.kind is Kind.HUMAN:
            # What approves and what asks would have one name for two things.
            raise AccessRefused(Refused.BAD_TOKEN, "kind: agent or service; people have tokens of their own issuer")
        if not MIN_LIFETIME_SECONDS <= wanted.lifetime <= MAX_LIFETIME_SECONDS:
            longest = MAX_LIFETIME_SECONDS // DAY_SECONDS
            raise AccessRefused(
                Refused.BAD_TOKEN,
                f"lifetime: {MIN_LIFETIME_SECONDS} seconds to {longest} days",
            )
        return replace(
            wanted,
            groups=tuple(sorted(set(wanted.groups))),
            targets=known_targets(wanted.targets, self._targets()),
            networks=_networks(wanted.networks),
        )


def known_targets(targets: tuple[str, ...] | None, there: Collection[str]) -> tuple[str, ...] | None:
    """The targets that a credential is to be good for, None for all. Raises AccessRefused (unknown-target)."""
    if targets is None:
        return None
    known = sorted(there)
    unknown = sorted(set(targets) - set(known))
    if unknown or not targets:
        what = f"there is no target {', '.join(map(repr, unknown))}" if unknown else "no target at all is named"
        raise AccessRefused(Refused.UNKNOWN_TARGET, f"{what}; there are: {', '.join(known) or 'none'}")
    return tuple(sorted(set(targets)))


def split_name(name: str) -> tuple[str | None, str]:
    """Issuer, or None, and subject of a principal as people write it: `subject` or `issuer subject`. A subject that
    has a space itself is split too, which changes nothing: freezes are compared as they are written."""
    first, _, rest = name.strip().partition(" ")
    return (first, rest.strip()) if rest.strip() else (None, first)


def _networks(networks: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if networks is None:
        return None
    if not networks:
        raise AccessRefused(Refused.BAD_TOKEN, "networks: at least one, or none of the list for all")
    checked = set()
    for text in networks:
        try:
            checked.add(str(ipaddress.ip_network(text)))
        except ValueError:
            try:
                meant = f"; did you mean {ipaddress.ip_network(text, strict=False)}?"
            except ValueError:
                meant = ", for example 10.0.0.0/8 or 2001:db8::/32"
            raise AccessRefused(Refused.BAD_TOKEN, f"networks: {text!r} is not a network in CIDR form{meant}") from None
    return tuple(sorted(checked))
