"""How `Principal.credential` names what the gateway keeps books of, and what such a credential rests on. Pure."""

from extproc.access.ports import Standing

AGENT_TOKEN = "agent-token:"  # noqa: S105 (how the gateway's own tokens are named, not a token)
"""What stands before an agent token's id in `Principal.credential`."""
PASSWORD = "password:"  # noqa: S105 (likewise)
"""What stands before a short-lived password's id."""


def behind(credential: str, standing: Standing) -> str:
    """What a credential was had with, where it is a password, else itself: what ends that ends this, too. A password
    that nobody knows has nothing behind it. Raises AccessUnavailable."""
    if not credential.startswith(PASSWORD):
        return credential
    password = standing.password(credential.removeprefix(PASSWORD))
    return password.credential if password is not None else credential
