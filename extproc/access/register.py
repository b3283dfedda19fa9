"""Everything about who counts at one moment, as one value: issued tokens, passwords and freezes. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum

from extproc.access.credentials import AGENT_TOKEN, behind
from extproc.access.model import AgentToken, Freeze, Password
from extproc.domain.principal import Principal


class TokenState(StrEnum):
    """What has become of a token, or of a password."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state_of(token: AgentToken | Password, now: float) -> TokenState:
    """The state of a token or a password at `now`, in seconds since the epoch. A revoked one never merely expires."""
    if token.revoked_at is not None:
        return TokenState.REVOKED
    return TokenState.EXPIRED if now >= token.expires_at else TokenState.VALID


def name_of(issuer: str | None, subject: str) -> str:
    """A principal as people write it: its subject, after its issuer and a space where one is meant."""
    return subject if issuer is None else f"{issuer} {subject}"


class Register:
    """Tokens and passwords by their ids, and freezes. An access.ports.Standing that never changes."""

    def __init__(
        self,
        tokens: Mapping[str, AgentToken],
        freezes: Iterable[Freeze],
        passwords: Mapping[str, Password] | None = None,
    ) -> None:
        self.tokens = tokens
        self.passwords: Mapping[str, Password] = passwords or {}
        self.freezes = tuple(freezes)
        self._names = {fold(name_of(f.issuer, f.subject)): f for f in self.freezes}
        self._subjects = {fold(f.subject): f for f in self.freezes}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Register) and self._all() == other._all()

    def _all(self) -> tuple[object, ...]:
        return self.tokens, self.freezes, self.passwords

    def token(self, token_id: str) -> AgentToken | None:
        """See Standing."""
        return self.tokens.get(token_id)

    def password(self, password_id: str) -> Password | None:
        """See Standing."""
        return self.passwords.get(password_id)

    def frozen(self, principal: Principal) -> Freeze | None:
        """See Standing. Names are compared folded, as wrongly freezing costs a question, and wrongly not freezing is
        what freezes are there against. A freeze that names an issuer is of that one's subject alone; but of whom a
        principal acts for the issuer is most often not known, and then any is taken for it."""
        if not self.freezes:
            return None
        names = [principal.subject, principal.key]
        owner = self._owner(principal)
        if owner is not None:
            names += [owner[1], name_of(*owner)]
        found = next((self._names[name] for name in map(fold, names) if name in self._names), None)
        if found is None and principal.acts_for is not None and (owner is None or owner[1] != principal.acts_for):
            name = fold(principal.acts_for)
            found = self._names.get(name) or self._subjects.get(name)
        return found

    def _owner(self, principal: Principal) -> tuple[str, str] | None:
        credential = behind(principal.credential, self)
        if not credential.startswith(AGENT_TOKEN):
            return None
        token = self.tokens.get(credential.removeprefix(AGENT_TOKEN))
        return token.owner if token is not None else None


def fold(name: str) -> str:
    """What is left of a name when only its letters count: not their case, their form or the space around them."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
