"""What serves PostgreSQL connections, put together."""

import hashlib
import ssl
import time

from extproc.access.proving import Proving
from extproc.adapters.access_keys import read_genuine
from extproc.adapters.definitions import Board
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
    """The one of worker `index`. Raises OSError where the listener's certificate can't be read, and for the file that
    workers share; it and ValueError for the key that passwords are checked with."""
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
        Proving(all_of_it.standing, _secret(all_of_it.digest_key), read_genuine(layout.keys), time.time),
        thread_pool(),
        Cancels(Route([str(layout.postgres_socket(other)) for other in range(settings.workers) if other != index])),
        Board(layout.definitions, index),
    )


def _secret(key: bytes) -> bytes:
    """What a password that nobody has is made of: the same in all workers, and told by none."""
    return hashlib.blake2b(b"passwords that nobody has", key=key, digest_size=32).digest()


def _no_tls() -> tuple[ssl.SSLContext, bytes | None] | None:
    return None
