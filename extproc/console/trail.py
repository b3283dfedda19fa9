"""The routes of the audit trail, each group behind the role that it takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from extproc.audit.library import Role
from extproc.console.callers import Doors, behind
from extproc.console.rights import Rights


@dataclass(frozen=True, slots=True)
class Trail:
    """What may be done with the trail. `reading` asks for its roles itself, for each thing that is read takes another;
    `exporting` and `administering` are for those who have the role."""

    rights: Rights
    reading: Sequence[web.RouteDef]
    exporting: Sequence[web.RouteDef]
    administering: Sequence[web.RouteDef]

    def behind(self, doors: Doors) -> Iterator[web.RouteDef]:
        """The routes, for those who may."""
        for route in self.reading:
            yield behind(doors.known, route)
        for role, routes in ((Role.EXPORT, self.exporting), (Role.ADMINISTER, self.administering)):
            door = self.rights.door(doors.known, role)
            yield from (behind(door, route) for route in routes)
