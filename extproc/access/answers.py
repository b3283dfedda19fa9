"""Who may answer for what an agent token asks. Pure."""

from extproc.access.credentials import AGENT_TOKEN, PASSWORD, behind
from extproc.access.ports import Standing
from extproc.access.register import fold
from extproc.domain.principal import Principal


def unfit(asker: Principal, approver: Principal, standing: Standing) -> str | None:
    """Why `approver` may not answer for `asker` because of the token that it shows, or had its
    password with; or None. Who issues a token can
    use it, whoever they name as its owner, and with an answer of their own would be both of two people.

    Subjects are compared folded and without their issuers: an administrator who is known as a user of this machine is
    most often an approver by the same name, and a false match costs another approver. Raises AccessUnavailable."""
    credential = behind(asker.credential, standing)
    if credential.startswith(PASSWORD):
        return "the gateway does not know the password of who asks, and lets nothing of it go on"
    if not credential.startswith(AGENT_TOKEN):
        return None
    token = standing.token(credential.removeprefix(AGENT_TOKEN))
    if token is None:
        return "the gateway does not know the token of who asks, and lets nothing of it go on"
    answering = {fold(name) for name in (approver.subject, approver.acts_for) if name}
    if token.issued_by is not None and fold(token.issued_by[1]) in answering:
        return "nobody answers a hold of a token that they issued"
    return None
