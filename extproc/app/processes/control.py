"""The control process: holds, people, administration, and the operators' port."""

import asyncio
import contextlib
from functools import partial

from extproc.access import answers
from extproc.access.passwords import Passwords
from extproc.access.service import Access
from extproc.adapters.access import AccessList, SqliteAccess
from extproc.adapters.access_keys import read_private_key
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import issue, issuer_of
from extproc.app.identities import Agents, Doorkeeper, People
from extproc.app.journals import journal
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.processes.readiness import checks
from extproc.app.program import Beat, Main
from extproc.app.program import run as run_program
from extproc.app.snapshot import active
from extproc.app.targets import Targets
from extproc.app.trail import trail
from extproc.approvals.service import Holds
from extproc.config import Settings
from extproc.console.admin import Administration
from extproc.console.control import ControlSettings, run_control
from extproc.console.freezes import cancel_frozen
from extproc.console.freezes import routes as freeze_routes
from extproc.console.passwords import PasswordDesk
from extproc.console.targets import routes as target_routes
from extproc.console.tokens import routes as token_routes


def run(settings: Settings, _: int) -> None:
    """Run it until it is told to stop."""
    run_program(_main(settings), Layout(settings.state).beat("control"))


def _main(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout = Layout(settings.state)
        live = Live(active(layout))
        async with contextlib.AsyncExitStack() as end:
            store = await SqliteHolds.open(layout.holds)
            end.push_async_callback(store.close)
            known = Known(layout)
            await end.enter_async_context(following(known))
            written = journal(settings, "control", known)
            end.callback(written.close)
            standing = AccessList.open(layout.access)
            end.callback(standing.close)
            tokens = await SqliteAccess.open(layout.access)
            end.push_async_callback(tokens.close)
            holds = Holds(store, live.settings.limits.holds, lambda asker, who: answers.unfit(asker, who, standing))

            def names() -> list[str]:
                return [t.name for t in live.settings.targets]

            access = Access(tokens, names)
            signing, issuer = read_private_key(layout.keys), issuer_of(settings.listen.domain)
            people = People(live.settings, standing)
            live.on_change(people.follow)
            doorkeeper = Doorkeeper(live.settings, standing)
            live.on_change(doorkeeper.follow)

            def issuers() -> list[str]:
                return [a.issuer for a in live.settings.identity.approvers]

            administration = Administration(
                lambda: live.settings.identity.administrators,
                [
                    *token_routes(access, written, lambda token: issue(signing, token, issuer), issuers),
                    *freeze_routes(access, holds, written),
                    *target_routes(Targets(live, written)),
                ],
            )
            reached = None if settings.listen.postgres is None else str(settings.listen.postgres)
            desk = PasswordDesk(Passwords(tokens, names, signing.sign), written, Agents(doorkeeper), reached)
            address = settings.listen.ops
            where = ControlSettings(settings.listen.control, (address.host, address.port), layout.metrics)
            await end.enter_async_context(live.following())
            sweep = partial(cancel_frozen, access, holds, written)
            found = trail(live, written, end)
            beat.follow(live)
            ready = checks(settings)
            await run_control(where, holds, people, written, ready, stop, administration, sweep, found, desk)

    return main
