"""What can be found, as it is now: the rules and the fingerprints that `up` publishes, for a program that goes on while
they change."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from extproc.app import fingerprints, masking_rules
from extproc.app.layout import Layout, StateUnusable
from extproc.masking.build import forget, mask_value, warm
from extproc.masking.plan import Knowledge
from extproc.server.kept import keeping

_LOOK_SECONDS = 0.2
_log = logging.getLogger("holdpoint.masking")

_Stamp = tuple[int, int, int]


class Known:
    """Rules and credentials, compiled. Raises StateUnusable where there are none to start with."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rules, self._credentials = self._stamps()
        published = masking_rules.read(layout)
        self.now = Knowledge(published.engine(), fingerprints.read(layout), published.hash_key)

    def look(self) -> None:
        """Take what is published now, if it is another than we have. Compiles it (credentials in milliseconds, rules in
        a second): call it in a thread, every fifth of a second or so. Raises StateUnusable where it can't be read; what
        was known stays known."""
        rules, credentials = self._stamps()
        if (rules, credentials) == (self._rules, self._credentials):
            return
        credentials_now = fingerprints.read(self._layout)
        if rules == self._rules:
            found = Knowledge(self.now.engine, credentials_now, self.now.hash_key)
            # Nothing else is new, and takes a few milliseconds when it is first used.
            mask_value((), "response", "", found)
        else:
            published = masking_rules.read(self._layout)
            found = Knowledge(published.engine(), credentials_now, published.hash_key)
            warm(found)
            _log.info("rules taken", extra={"version": published.version})
        other = rules != self._rules
        self._rules, self._credentials, self.now = rules, credentials, found
        if other:
            forget()

    def _stamps(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(masking_rules.path_of(self._layout)), _stamp(fingerprints.path_of(self._layout))


@contextlib.asynccontextmanager
async def following(known: Known) -> AsyncIterator[None]:
    """Take what is published for as long as the context lasts; what can't be read is said, and what was known stays."""

    async def follow() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await asyncio.to_thread(known.look)
            except StateUnusable as error:
                _log.error("%s", error)

    async with keeping(follow):
        yield


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
