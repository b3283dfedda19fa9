"""Who it is, whatever it came by; and nobody may guess too often."""

from extproc.domain.identity import Identified, Identities, IdentityRefused, Shown, Why
from extproc.server.caps import Capped, Knocks


class Entrance:
    """Identities behind the limits on guessing. Belongs to one event loop."""

    def __init__(self, identities: Identities, knocks: Knocks) -> None:
        self.identities = identities
        self._knocks = knocks

    async def identify(self, shown: Shown) -> Identified:
        """Who showed this. Raises IdentityRefused."""
        return self.identities.remembered(shown) or await self._verify(shown)

    async def _verify(self, shown: Shown) -> Identified:
        """Who it is that can't be told from memory; a peer that guesses gets only so many guesses a second. Who shows
        nothing to check, or what was good before, costs little, and is nobody's neighbour's loss."""
        identities = self.identities
        if not identities.unproven(shown):
            return await identities.identify(shown)
        try:
            take_back = self._knocks.knock(shown.source)
        except Capped as error:
            raise IdentityRefused(str(error).rstrip("."), Why.TOO_MANY) from error
        try:
            found = await identities.identify(shown)
        except IdentityRefused as error:
            # Keys that can't be had are not its fault, nor is who it is where it proved just that.
            if error.why is Why.UNAVAILABLE or not identities.unproven(shown):
                take_back()
            raise
        take_back()
        return found
