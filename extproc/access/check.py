"""Whether somebody who was let in may still be here."""

from extproc.access.credentials import AGENT_TOKEN, PASSWORD, behind
from extproc.access.ports import AccessUnavailable, Standing
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Principal


def check(principal: Principal, standing: Standing, now: float) -> None:
    """Raise IdentityRefused where this principal has expired, is frozen, or shows a token or a password that was
    revoked. `now` is seconds since the epoch. Costs a microsecond: it is asked for every request and again before a
    held one goes on."""
    if principal.expires_at is not None and principal.expires_at <= now:
        raise IdentityRefused("this identity has expired; get a new credential", Why.EXPIRED, principal)
    try:
        if standing.frozen(principal) is not None:
            message = "this principal is frozen: nothing of it passes until it is unfrozen"
            raise IdentityRefused(message, Why.FROZEN, principal)
        if principal.credential.startswith(PASSWORD):
            password = standing.password(principal.credential.removeprefix(PASSWORD))
            if password is None or password.revoked_at is not None:
                raise IdentityRefused("this password was revoked; get a new one", Why.REVOKED, principal)
        credential = behind(principal.credential, standing)
        if credential.startswith(AGENT_TOKEN):
            token = standing.token(credential.removeprefix(AGENT_TOKEN))
            if token is None or token.revoked_at is not None:
                message = "this agent token was revoked; ask its owner for a new one"
                raise IdentityRefused(message, Why.REVOKED, principal)
    except AccessUnavailable as error:
        raise IdentityRefused(
            "who is revoked or frozen can't be told now, so nobody is let in; a fault of the gateway", Why.UNAVAILABLE
        ) from error
