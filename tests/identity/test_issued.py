"""From the store of access to the door: a token that was issued, revoked, or whose principal is frozen."""

import asyncio
from pathlib import Path

from extproc.access.credentials import AGENT_TOKEN
from extproc.adapters.access import AccessList
from extproc.adapters.identity import AgentTokens, Certificates, Gatekeeper, Tokens, issuer_of, signer
from extproc.domain.identity import IdentityRefused, Shown, Why
from extproc.domain.principal import Kind, Principal
from tests.access.making import ROOT, Store, unseen, wanted
from tests.identity.making import bearer

ISSUER = issuer_of("gateway.test")


def test_the_whole_way_of_a_token(tmp_path: Path) -> None:
    """What the control process issues, a worker believes until it is revoked or frozen, also from memory."""

    async def run() -> None:
        async with Store(tmp_path) as s:
            known = AccessList.open(s.path)
            door = Gatekeeper(Tokens([]), AgentTokens(ISSUER, s.keys / "tokens.pub", known), Certificates(), known)
            asked = wanted(groups=("builders", "ünïcode"), targets=("crm",), networks=("10.0.0.0/8", "::1/128"))
            token, text = await s.access.issue(asked, ROOT, signer(s.keys / "tokens.key", ISSUER), unseen)
            shown = Shown((bearer(text),), None, "::1")

            async def why() -> set[Why | None]:
                known.look()
                found: set[Why | None] = set()
                for recall in (False, True):
                    try:
                        who = door.remembered(shown) if recall else await door.identify(shown)
                        assert who is None or who.principal == Principal(
                            ISSUER, token.subject, Kind.AGENT, token.groups, token.owner[1], token.expires_at,
                            AGENT_TOKEN + token.id, ("crm",),
                        )  # fmt: skip
                        found.add(None)
                    except IdentityRefused as error:
                        found.add(error.why)
                return found

            assert await why() == {None}
            await s.frozen(token.owner[1])
            assert await why() == {Why.FROZEN}
            await s.access.unfreeze(token.owner[1], None, unseen)
            assert await why() == {None}
            await s.access.revoke(token.id, unseen)
            assert await why() == {Why.REVOKED}
            known.close()

    asyncio.run(run())
