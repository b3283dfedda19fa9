"""Whom a freeze meets."""

import pytest

from extproc.access.model import AgentToken, Freeze
from extproc.access.register import Register, TokenState, state_of
from extproc.access.service import split_name
from extproc.domain.principal import Kind, Principal
from tests.access.making import ALICE, GATEWAY, IDP, bot

TOKEN = AgentToken("0" * 16, "crm-bot", Kind.AGENT, (), ALICE, None, None, "", 0.0, 100.0)
PERSON = Principal(IDP, "alice", Kind.HUMAN)
OTHER = Principal("https://other.test", "alice", Kind.HUMAN)
CLAIMING = Principal("https://agents.test", "bot", Kind.AGENT, acts_for="Alice")
CERTIFICATE = Principal("spiffe://x", "CN=crm bot,O=x", Kind.SERVICE)


@pytest.mark.parametrize(
    ("name", "meets"),
    [
        ("alice", (PERSON, OTHER, CLAIMING, bot(TOKEN))),
        ("  ＡＬＩＣＥ ", (PERSON, OTHER, CLAIMING, bot(TOKEN))),
        (f"{IDP} alice", (PERSON, CLAIMING, bot(TOKEN))),
        (f"{IDP.upper()}  Alice", (PERSON, CLAIMING, bot(TOKEN))),
        # Whose subject an unknown `act` claim names can't be told, so it is taken for this one; an owner's can.
        ("https://other.test alice", (OTHER, CLAIMING)),
        ("crm-bot", (bot(TOKEN),)),
        (f"{GATEWAY} crm-bot", (bot(TOKEN),)),
        ("https://agents.test crm-bot", ()),
        ("CN=crm bot,O=x", (CERTIFICATE,)),
        ("spiffe://x CN=crm bot,O=x", (CERTIFICATE,)),
        ("ali", ()),
        (IDP, ()),
    ],
)
def test_whom_a_freeze_meets(name: str, meets: tuple[Principal, ...]) -> None:
    """Subjects whoever issued them, or one issuer's; those who act for them; never a part of a name."""
    issuer, subject = split_name(name)
    freeze = Freeze(issuer, subject, "root", "", 0.0)
    register = Register({TOKEN.id: TOKEN}, [freeze])
    everyone = (PERSON, OTHER, CLAIMING, bot(TOKEN), CERTIFICATE)
    assert tuple(p for p in everyone if register.frozen(p) is not None) == meets


def test_nobody_is_frozen_without_freezes() -> None:
    """And tokens are known by their ids."""
    register = Register({TOKEN.id: TOKEN}, ())
    assert register.frozen(PERSON) is None
    assert (register.token(TOKEN.id), register.token("1" * 16)) == (TOKEN, None)
    assert [state_of(TOKEN, now) for now in (99.0, 100.0)] == [TokenState.VALID, TokenState.EXPIRED]
