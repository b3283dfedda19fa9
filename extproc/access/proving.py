"""Short-lived passwords as a worker knows them: what a client is asked to prove, and who it is then. Pure."""

from collections.abc import Callable

from extproc.access.check import check
from extproc.access.credentials import PASSWORD
from extproc.access.model import USER_PREFIX, Password
from extproc.access.networks import within
from extproc.access.ports import AccessUnavailable, Standing
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Principal
from extproc.protocols.postgres.auth.scram import Verifier

_ID_LENGTH = 12
_HEX = frozenset("0123456789abcdef")


class Proving:
    """Finds passwords by their user names, in memory."""

    def __init__(
        self,
        standing: Standing,
        secret: bytes,
        genuine: Callable[[bytes, bytes], bool],
        clock: Callable[[], float],
    ) -> None:
        """`secret` is the gateway's, the same for all its workers: what nobody's verifiers are made of. `genuine` says
        whether a signature (the second) of some bytes is the gateway's. `clock` gives seconds since the epoch."""
        self._standing = standing
        self._secret = secret
        self._genuine = genuine
        self._clock = clock

    def verifier(self, user: str) -> Verifier | None:
        """What a client that names this user has to prove itself by. None for names that no password ever goes with.
        Names that one could go with and none does have a verifier too, which nothing proves: asking does not tell which
        there are. One that has ended keeps its own, and only who has the password learns that. Raises IdentityRefused
        (identity-unavailable)."""
        password_id = user.removeprefix(USER_PREFIX)
        if user == password_id or len(password_id) != _ID_LENGTH or not _HEX.issuperset(password_id):
            return None
        nobody = Verifier.mock(user, self._secret)
        found = self._find(password_id)
        return nobody if found is None else found.verifier

    def principal(self, user: str, source: str) -> Principal:
        """Who has proven to have this user's password, and may be here now from this address. Raises
        IdentityRefused."""
        found = self._find(user.removeprefix(USER_PREFIX))
        if found is None or not self._genuine(found.sealed(), found.seal):
            # A row that we did not write, or that was changed: nobody's, however well the password fits.
            raise IdentityRefused("this password is not one that was issued; get a new one")
        principal = Principal(
            found.issuer,
            found.subject,
            found.kind,
            found.groups,
            found.acts_for,
            found.expires_at,
            PASSWORD + found.id,
            found.targets,
        )
        check(principal, self._standing, self._clock())
        if found.networks is not None and not within(found.networks, source):
            raise IdentityRefused("this password does not count from this network", Why.WRONG_NETWORK, principal)
        return principal

    def _find(self, password_id: str) -> Password | None:
        try:
            return self._standing.password(password_id)
        except AccessUnavailable as error:
            raise IdentityRefused(
                "which passwords count can't be told now, so none does; a fault of the gateway", Why.UNAVAILABLE
            ) from error
