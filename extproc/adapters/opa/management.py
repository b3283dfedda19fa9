"""OPA's management questions (health, revision, policies), through opa-python-client over a unix socket or TCP."""

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests

# No annotations are published for it; what we call of it is wrapped here.
from opa_client.errors import ConnectionsError, PolicyNotFoundError  # type: ignore[import-untyped]
from opa_client.opa import OpaClient as LibraryClient  # type: ignore[import-untyped]
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from extproc.adapters.opa.client import Address, TcpAddress, UnixAddress

_FAILURES = (requests.RequestException, ConnectionsError, PolicyNotFoundError, ValueError, KeyError, TypeError)


class ManagementUnavailable(Exception):
    """OPA gave no usable answer to a management question."""


class Management:
    """Asks a running OPA about itself; blocking, so call it off the event loop. Each question ends within about
    `timeout_seconds` and is not retried: its callers ask again anyway."""

    def __init__(self, address: Address, token: str | None, *, timeout_seconds: float = 1.5) -> None:
        host, port = (address.host, address.port) if isinstance(address, TcpAddress) else ("localhost", 8181)
        self._client: Any = LibraryClient(host=host, port=port, token=token, retries=0, timeout=timeout_seconds)
        # The proxy settings of the environment are for what leaves the machine.
        self._client._session.trust_env = False
        if isinstance(address, UnixAddress):
            self._client._session.mount("http://", _UnixAdapter(str(address.path)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def healthy(self) -> bool:
        """Whether OPA is up and accepts our token. Never raises for an OPA that is not."""
        return bool(self._client.check_health())

    def revision(self) -> str:
        """The revision of the bundle that is being served. Raises ManagementUnavailable, also when there is none."""
        return str(self._result("holdpoint/revision"))

    def policies(self) -> dict[str, Any]:
        """The METADATA of every policy that is being served, by id. Raises ManagementUnavailable."""
        found = self._result("holdpoint/metadata")
        if not isinstance(found, dict):
            raise ManagementUnavailable("OPA's metadata is not an object")
        return found

    def modules(self) -> list[str]:
        """The names of the Rego files that are being served. Raises ManagementUnavailable."""
        try:
            return sorted(map(str, self._client.get_policies_list()))
        except _FAILURES as error:
            raise ManagementUnavailable(f"OPA does not list its policies ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close_connection()

    def _result(self, path: str) -> Any:
        try:
            return self._client.get_data(path)["result"]
        except _FAILURES as error:
            raise ManagementUnavailable(f"OPA does not answer for {path} ({type(error).__name__})") from error


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def _new_conn(self) -> Any:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> Any:
        return _UnixConnection(self._path, self.timeout.connect_timeout)


class _UnixAdapter(HTTPAdapter):
    """Takes every request of a session to one socket."""

    def __init__(self, path: str) -> None:
        self._pool = _UnixPool(path)
        super().__init__()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> Any:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()
