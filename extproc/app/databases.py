"""Settings → the databases that connections lead to."""

from collections.abc import Mapping

from extproc.adapters.envoy.endpoints import read_endpoints
from extproc.adapters.envoy.plan import is_address
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.config import Login as LoginSettings
from extproc.config import ServerTls, Settings, TargetSettings
from extproc.domain.target import Protocol
from extproc.server.terminator.databases import Database, Login


class LiveDatabases:
    """server.terminator.databases.Databases of the configuration in force. Belongs to the event loop of `live`."""

    def __init__(self, live: Live) -> None:
        self._folder = Layout(live.settings.state).envoy
        self._named: Mapping[str, Database] = {}
        self._at: Mapping[str, Database] = {}
        self._take(live.settings)
        live.on_change(self._take)

    def named(self, name: str) -> Database | None:
        """See Databases."""
        return self._named.get(name)

    def at(self, server_name: str) -> Database | None:
        """See Databases."""
        return self._at.get(server_name)

    def addresses(self, database: Database) -> tuple[tuple[str, int], ...]:
        """See Databases. What a name stands for is read from where `up` writes it, each time: it may have changed, or
        have been found to lead where it must not."""
        if is_address(database.host):
            return ((database.host, database.port),)
        return read_endpoints(self._folder, f"{database.target.name}-{database.target.revision}")

    def _take(self, settings: Settings) -> None:
        targets = [t for t in settings.targets if t.protocol is Protocol.POSTGRES]
        self._named = {t.name: database_of(t) for t in targets}
        hosts = {host: t.name for t in targets for host in (t.host, f"{t.name}.{settings.listen.domain}")}
        self._at = {host: self._named[name] for host, name in hosts.items()}


def database_of(target: TargetSettings) -> Database:
    """A target's server and logins."""
    upstream = target.upstream
    return Database(
        target=target.target,
        host=upstream.host,
        port=upstream.port,
        name=target.database,
        verified=target.tls is ServerTls.VERIFY_FULL,
        authorities=target.ca,
        logins=tuple(_login(login) for login in target.logins),
        others=frozenset(target.databases),
        tagged=target.tag,
    )


def _login(login: LoginSettings) -> Login:
    return Login(
        user=login.user,
        password=login.password,
        certificate=login.certificate,
        key=login.key,
        groups=None if login.groups is None else frozenset(login.groups),
        role=login.role,
    )
