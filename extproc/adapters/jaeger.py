"""Jaeger as somebody to be asked: the spans of one trace, through its query API."""

import http.client
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import IO

from extproc.audit.compare import StoreUnreachable
from extproc.audit.otlp import BadAnswer, Stored, read

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
PIECE = 256 << 10
IN_MEMORY = 4 << 20
"""Bytes of an answer that are kept in memory; of a longer one the rest is in a temporary file."""


class Jaeger:
    """Asks at `address`, the base of Jaeger's page, such as http://127.0.0.1:16686. Not thread-safe. `wait` is called
    with seconds between attempts. Raises StoreUnreachable for what is no address."""

    def __init__(
        self, address: str, timeout_seconds: float = TIMEOUT_SECONDS, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._url, self._timeout, self._wait = urllib.parse.urlsplit(address.rstrip("/")), timeout_seconds, wait
        self._address = address
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise StoreUnreachable(f"{address}: expected the address of Jaeger's page, such as http://127.0.0.1:16686")
        self._connection: http.client.HTTPConnection | None = None

    def spans(self, trace_id: str) -> Iterator[Stored]:
        """What Jaeger has of a trace, as it was taken: nothing is adjusted, and what it has twice comes twice. Raises
        StoreUnreachable."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
            why: str | None = ""
            for attempt in range(ATTEMPTS):
                if attempt:
                    self._wait(0.25 * 2**attempt)
                kept.seek(0)
                kept.truncate()
                why = self._ask(f"{self._url.path}/api/v3/traces/{trace_id}?raw_traces=true", kept)
                if why is None:
                    break
                self.close()
            else:
                raise StoreUnreachable(f"{self._address}: {why}")
            kept.seek(0)
            try:
                yield from read(iter(lambda: kept.read(PIECE), b""))
            except BadAnswer as error:
                raise StoreUnreachable(f"{self._address}: trace {trace_id}: {error}") from None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, target: str, kept: IO[bytes]) -> str | None:
        """Put the answer into `kept`, nothing where the trace is not known; why it did not work, or None."""
        try:
            connection = self._connected()
            connection.request("GET", target, headers={"accept": "application/json"})
            answer = connection.getresponse()
            if answer.status == http.client.NOT_FOUND:
                answer.read()
                return None
            if answer.status != http.client.OK:
                return f"answered {answer.status}: {answer.read(200)!r}"
            while piece := answer.read(PIECE):
                kept.write(piece)
            return None
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout)
        return self._connection
