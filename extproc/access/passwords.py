"""The use cases of short-lived passwords for databases: who has a token gets one for clients that can't send it."""

import base64
import math
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from extproc.access.check import check
from extproc.access.credentials import AGENT_TOKEN
from extproc.access.model import AgentToken, Password
from extproc.access.register import Register, TokenState, state_of
from extproc.access.service import DAY_SECONDS, AccessRefused, Refused, known_targets
from extproc.access.store import AccessStore, Ledger
from extproc.domain.principal import Principal
from extproc.protocols.postgres.auth.scram import Verifier

MIN_LIFETIME_SECONDS = 60
MAX_LIFETIME_SECONDS = 3600
# Expired ones can still be listed for so long, and holds of theirs be answered; the journal keeps what must last.
KEEP_SECONDS = DAY_SECONDS
MOST_OF_ONE = 500
"""How many that are kept, expired or not, are of one principal: every worker knows all of them by heart."""

_ID_BYTES = 6
# 160 bits, as 32 letters and digits that no shell, URL or password file takes for anything else. Nobody guesses that,
# so the fewest iterations will do.
_PASSWORD_BYTES = 20
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class PasswordWanted:
    """A password as it is asked for. `targets` None: all that the asker may ask for. `lifetime` is in seconds."""

    targets: tuple[str, ...] | None = None
    lifetime: int = MAX_LIFETIME_SECONDS
    note: str = ""


# Called inside the transaction, before the change counts and in the store's thread; what it raises undoes it.
PasswordWitness = Callable[[Password], None]


class Passwords:
    """Passwords over a store. All methods raise AccessUnavailable; nothing was changed then."""

    def __init__(
        self, store: AccessStore, targets: Callable[[], Collection[str]], sign: Callable[[bytes], bytes]
    ) -> None:
        """`targets` gives the names of the targets that there are at that moment; `sign` is the gateway's signature of
        some bytes."""
        self._store = store
        self._targets = targets
        self._sign = sign

    async def issue(self, wanted: PasswordWanted, by: Principal, witness: PasswordWitness) -> tuple[Password, str]:
        """A new password that makes whoever has it `by`, and its text, which is kept nowhere. It ends with what `by`
        showed at the latest. Raises AccessRefused (bad-password, unknown-target, too-many-passwords), and
        IdentityRefused where `by` may not be here at that moment."""
        if not MIN_LIFETIME_SECONDS <= wanted.lifetime <= MAX_LIFETIME_SECONDS:
            message = f"lifetime: {MIN_LIFETIME_SECONDS} to {MAX_LIFETIME_SECONDS} seconds"
            raise AccessRefused(Refused.BAD_PASSWORD, message)
        targets = self._narrowed(wanted.targets, by)
        text = base64.b32encode(secrets.token_bytes(_PASSWORD_BYTES)).decode().lower()

        def work(ledger: Ledger, now: float) -> tuple[Password, str]:
            register = ledger.register()
            check(by, register, now)
            if (
                sum((p.issuer, p.subject) == (by.issuer, by.subject) for p in register.passwords.values())
                >= MOST_OF_ONE
            ):
                message = f"{MOST_OF_ONE} passwords of yours were issued within a day; use one for as long as it counts"
                raise AccessRefused(Refused.TOO_MANY_PASSWORDS, message)
            token = _token(by.credential, register)
            # Whole, and of the type that the store gives back: `sealed` is made of them.
            issued = float(math.floor(now))
            ends = issued + wanted.lifetime
            made = Password(
                id=_unused(register),
                issuer=by.issuer,
                subject=by.subject,
                kind=by.kind,
                groups=by.groups,
                acts_for=by.acts_for,
                credential=by.credential,
                targets=targets,
                networks=token.networks if token is not None else None,
                note=wanted.note,
                verifier=Verifier.of(text.encode(), secrets.token_bytes(_SALT_BYTES)),
                issued_at=issued,
                expires_at=ends if by.expires_at is None else min(ends, float(by.expires_at)),
            )
            password = replace(made, seal=self._sign(made.sealed()))
            witness(password)
            ledger.add_password(password)
            ledger.forget_passwords(now - KEEP_SECONDS)
            return password, text

        return await self._store.change(work)

    async def revoke(self, password_id: str, by: Principal | None, witness: PasswordWitness) -> tuple[Password, bool]:
        """The password, revoked from now on, and whether this call did it: `witness` is told only then. `by` may only
        revoke their own; None may revoke all. Raises AccessRefused (unknown-password), for others' too."""

        def work(ledger: Ledger, now: float) -> tuple[Password, bool]:
            password = ledger.register().password(password_id)
            if password is None or not _of(password, by):
                raise AccessRefused(Refused.UNKNOWN_PASSWORD, f"no password of yours has the id {password_id}")
            if password.revoked_at is not None:
                return password, False
            revoked = replace(password, revoked_at=now)
            witness(revoked)
            ledger.set_password_revoked(password_id, now)
            return revoked, True

        return await self._store.change(work)

    async def list(self, by: Principal | None) -> tuple[tuple[Password, TokenState], ...]:
        """The passwords of `by` (None: of everybody) with their states, newest first. Those whose agent token was
        revoked are."""
        register, now = await self._store.register()
        return tuple(
            (password, _state(password, register, now))
            for password in sorted(register.passwords.values(), key=lambda p: (p.issued_at, p.id), reverse=True)
            if _of(password, by)
        )

    def _narrowed(self, targets: tuple[str, ...] | None, by: Principal) -> tuple[str, ...] | None:
        """What it is good for: never more than what the asker is."""
        if by.targets is None:
            return known_targets(targets, self._targets())
        return by.targets if targets is None else known_targets(targets, set(by.targets) & set(self._targets()))


def _unused(register: Register) -> str:
    """An id that no password has that is kept."""
    while (new := secrets.token_hex(_ID_BYTES)) in register.passwords:
        pass
    return new


def _token(credential: str, register: Register) -> AgentToken | None:
    """The agent token that a credential names."""
    return register.token(credential.removeprefix(AGENT_TOKEN)) if credential.startswith(AGENT_TOKEN) else None


def _of(password: Password, by: Principal | None) -> bool:
    return by is None or (password.issuer, password.subject) == (by.issuer, by.subject)


def _state(password: Password, register: Register, now: float) -> TokenState:
    """A password whose agent token was revoked is, too."""
    token = _token(password.credential, register)
    gone = token is not None and token.revoked_at is not None
    return TokenState.REVOKED if gone else state_of(password, now)
