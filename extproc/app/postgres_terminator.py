"""What serves PostgreSQL connections, put together."""

import ssl
from functools import partial

from extproc.app.deciding import Deciding
from extproc.app.layout import Layout
from extproc.app.postgres_tls import ListenerTls
from extproc.config import Settings
from extproc.server.caps import Knocks
from extproc.server.entrance import Entrance
from extproc.server.terminator.cancels import Cancels, Route
from extproc.server.terminator.databases import Databases
from extproc.server.terminator.postgres import PostgresTerminator
from extproc.server.upkeep import thread_pool


def terminator(index: int, settings: Settings, all_of_it: Deciding, databases: Databases) -> PostgresTerminator:
    """The one of worker `index`. Raises OSError where the listener's certificate can't be read."""
    layout, files, known = Layout(settings.state), settings.listen.tls, all_of_it.known
    return PostgresTerminator(
        all_of_it.gate,
        databases,
        Entrance(all_of_it.doorkeeper, Knocks()),
        all_of_it.exchanges,
        all_of_it.caps,
        lambda: known.now,
        all_of_it.digest_key,
        all_of_it.epoch,
        _no_tls if files is None else ListenerTls(files),
        lambda _: None,
        thread_pool(),
        Cancels(index, Route(partial(_socket, layout))),
    )


def _socket(layout: Layout, index: int) -> str:
    return str(layout.postgres_socket(index))


def _no_tls() -> tuple[ssl.SSLContext, bytes | None] | None:
    return None
