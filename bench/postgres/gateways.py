"""The gateways that are measured: one with the shipped policies as they are, one without those that look back."""

from pathlib import Path

from bench.gateway import AUDIENCE, DOMAIN, ISSUER, PEOPLE, Gateway, Identity
from bench.net import free_port
from bench.postgres.cases import Way
from bench.postgres.servers import DATABASE, USER, Server, dsn
from extproc.adapters.opa import library
from extproc.config import Settings, load


class Held:
    """A gateway before the server. `ways` are its targets: each with the default, but for LEAN, which keeps no bodies.
    Runs until `stop`."""

    def __init__(self, server: Server, folder: Path, *ways: Way) -> None:
        folder.mkdir()
        identity = Identity()
        self._token, self._port = identity.token(), free_port()
        self._gateway = Gateway(self._configure(server, folder, identity, ways))
        self.pids = self._gateway.pids

    def _configure(self, server: Server, folder: Path, identity: Identity, ways: tuple[Way, ...]) -> Settings:
        (folder / "agents.json").write_bytes(identity.jwks())
        (folder / "people.json").write_bytes(Identity().jwks())
        password = folder / "password"
        password.touch(0o600)
        password.write_text(server.password)
        looking_back = [] if Way.ASKED in ways else _looking_back()
        switched = "".join(f"  {name}: {{enabled: false}}\n" for name in looking_back)
        (folder / "data.yaml").write_text(f"policies:\n{switched}" if switched else "{}\n")
        target = (
            f"protocol: postgres, upstream: 'postgres://127.0.0.1:{server.port}/{DATABASE}', tls: off, "
            f"environment: test, logins: [{{user: {USER}, password: password}}]"
        )
        targets = "".join(
            f"  {way}: {{{target}{', record: {bodies: metadata}' if way is Way.LEAN else ''}}}\n" for way in ways
        )
        file = folder / "holdpoint.yaml"
        file.write_text(
            "version: 1\n"
            f"listen: {{address: 127.0.0.1:{free_port()}, ops: 127.0.0.1:{free_port()}, domain: {DOMAIN}, "
            f"postgres: 127.0.0.1:{self._port}}}\n"
            "identity:\n"
            f"  agents: [{{issuer: {ISSUER}, audience: {AUDIENCE}, jwks: agents.json}}]\n"
            f"  approvers: [{{issuer: {PEOPLE}, audience: bench-people, jwks: people.json}}]\n"
            f"targets:\n{targets}"
            # An overloaded cell is to show its queue; with the default of 250 ms it would show refusals instead.
            "policy: {data: data.yaml, deadline: 5s}\n"
            "audit: {otlp: null}\n"
            "limits: {requests: 10000, bytes: 4GiB}\n"
            "workers: 2\n"
            "state: state\n"
        )
        return load(file)

    def dsn(self, way: Way) -> str:
        """Through it to a target."""
        return dsn(self._port, "agent", self._token, way)

    def stop(self) -> None:
        """Stop it as a user would."""
        self._gateway.stop()


def _looking_back() -> list[str]:
    """The shipped policies that read what was done before; all of those for any protocol may."""
    policies = library.load().config["policies"]
    return [name for name in policies if name.startswith("any.")] if isinstance(policies, dict) else []
