"""A whole gateway before a real PostgreSQL: `with database_gateway(server) as it`."""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tests.support.gateway import Gateway, free_port
from tests.support.postgres import READER, Role, Server

ALLOWING = """# METADATA
# scope: package
# title: Everything
# description: Lets every action on a database on, and says nothing more.
# custom:
#   id: postgres.everything
#   severity: low
#   mode: enforce
package holdpoint.policies.postgres.everything

findings contains {"code": "ok", "effect": "allow", "message": "This test allows everything."}
"""
TESTED = """package holdpoint.policies.postgres.everything_test

import data.holdpoint.policies.postgres.everything

test_it_allows if count(everything.findings) == 1
"""


class DatabaseGateway:
    """A gateway with the target `crm-db`: the database `crm` of a server, as one of its roles. Another role of the
    server's is the login of members of a group of its name."""

    def __init__(
        self,
        server: Server,
        *,
        role: Role = READER,
        policy: str = "",
        environment: str = "production",
        host: str = "127.0.0.1",
        workers: int = 1,
        databases: str = "bank, postgres",
    ) -> None:
        self.port = free_port()
        self.server = server
        others = [one for one in server.roles.values() if one not in (role,) and one.password and one.name != "admin"]
        logins = [
            *(f"{{user: {one.name}, password: secrets/{one.name}, groups: [{one.name}]}}" for one in others),
            f"{{user: {role.name}, password: secrets/{role.name}}}",
        ]
        target = (
            f"crm-db: {{protocol: postgres, upstream: 'postgres://127.0.0.1:{server.port}/crm', tls: off, "
            f"databases: [{databases}], environment: {environment}, wait: 20s, logins: [{', '.join(logins)}]}}"
        )
        listen = f"postgres: {host}:{self.port}"
        self.gateway = Gateway(workers=workers, targets=target, policy=policy, listen=listen)
        for one in (role, *others):
            secret = self.gateway.folder / "secrets" / one.name
            secret.parent.mkdir(exist_ok=True)
            secret.touch(0o600)
            secret.write_text(one.password)

    def dsn(self, subject: str = "agent-1", database: str = "crm-db", **claims: Any) -> str:
        """The URL of the target for an agent, as any client takes it."""
        token = self.gateway.agents.token(subject, **claims)
        return f"postgresql://{quote(subject)}:{token}@127.0.0.1:{self.port}/{quote(database, safe='')}?sslmode=disable"

    def worker(self, application: str) -> str:
        """Which worker has the connection that says of itself what it is: its records are in that worker's stream."""
        (found,) = {
            record["stream"]
            for record in self.gateway.records("decision")
            if record["action"]["summary"].get("application") == application
        }
        return str(found)


@contextlib.contextmanager
def database_gateway(
    server: Server,
    *,
    allowing: bool = False,
    more: str = "",
    role: Role = READER,
    host: str = "127.0.0.1",
    workers: int = 1,
) -> Iterator[DatabaseGateway]:
    """Started, and stopped at the end; `host` is the address that it listens on. With `allowing` a policy that allows
    everything takes the place of the shipped ones; `more` are further rules of it."""
    policy = f"deadline: 5s{', path: policies' if allowing else ''}"
    made = DatabaseGateway(server, role=role, policy=policy, host=host, workers=workers)
    try:
        if allowing:
            folder = made.gateway.folder / "policies" / "postgres" / "everything"
            folder.mkdir(parents=True)
            (folder / "everything.rego").write_text(ALLOWING + more)
            (folder / "everything_test.rego").write_text(TESTED)
            (folder.parents[1] / "library.yaml").write_text("include_shipped: []\n")
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()
