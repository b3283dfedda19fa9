"""Who may do what with the trail: groups of approvers by role, and administrators, root and the gateway's user all."""

from collections.abc import Callable, Collection, Mapping

from aiohttp import web

from extproc.audit.library import EVERY_ROLE, Reader, Role
from extproc.console.callers import MACHINE, Door, NotAdministrator
from extproc.domain.principal import Principal

Groups = Mapping[Role, Collection[str]]


class Rights:
    """`groups` gives the groups of each role, `administrators` those that have all of them; both as they are now."""

    def __init__(self, groups: Callable[[], Groups], administrators: Callable[[], Collection[str]]) -> None:
        self._groups, self._administrators = groups, administrators

    def reader(self, who: Principal) -> Reader:
        """What they may."""
        if who.credential == MACHINE or not set(self._administrators()).isdisjoint(who.groups):
            return Reader(who, EVERY_ROLE)
        return Reader(who, [role for role, of in self._groups().items() if not set(of).isdisjoint(who.groups)])

    def door(self, known: Door, role: Role) -> Door:
        """A door for those who have a role; `known` tells who calls. It raises NotAdministrator for others."""

        async def door(request: web.Request) -> Principal:
            who = await known(request)
            if role not in self.reader(who).roles:
                groups = sorted({*self._groups().get(role, ()), *self._administrators()})
                named = f"members of: {', '.join(groups)}" if groups else "root and the gateway's user on its machine"
                yours = ", ".join(sorted(who.groups)) or "none"
                raise NotAdministrator(f"this is for {named} (audit.roles.{role.value}); yours: {yours}")
            return who

        return door
