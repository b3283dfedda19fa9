"""A real S3-compatible store for tests: versitygw, which keeps objects as files below a folder."""

import os
import re
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from extproc import resources
from extproc.adapters.objects import Bucket, S3Objects
from tests.support.envoy import until
from tests.support.gateway import free_port

VARIABLE = "HOLDPOINT_VERSITYGW"
ACCESS, SECRET, BUCKET = "the-access-key", "the-secret-key", "audit"


def find_versitygw() -> Path:
    """The server's program: $HOLDPOINT_VERSITYGW, beside this interpreter, on the PATH, or the newest in deploy/tools/
    fetch's cache. Raises FileNotFoundError that says what to do."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    with suppress(FileNotFoundError):
        return resources.executable("versitygw")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("HOLDPOINT_CACHE") or Path(home) / "holdpoint")
    cached = [p for p in (cache / "versitygw").glob("*/versitygw") if os.access(p, os.X_OK)]
    if not cached:
        what = "run `deploy/tools/fetch versitygw`"
        raise FileNotFoundError(f"no versitygw on PATH or in {cache}; {what}, or name one with ${VARIABLE}")
    return max(cached, key=lambda p: tuple(map(int, re.findall(r"\d+", p.parent.name))))


class S3Server:
    """A store with one bucket. `tls` are the files of a certificate and its key."""

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.folder, self._tls = folder, tls
        (folder / BUCKET).mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it, and wait until it serves."""
        secure = ["--cert", str(self._tls[0]), "--key", str(self._tls[1])] if self._tls else []
        self._process = subprocess.Popen(
            [
                *(find_versitygw(), "--port", f"127.0.0.1:{self.port}", "--access", ACCESS, "--secret", SECRET),
                *("--quiet", *secure, "posix", str(self.folder)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._listens, "versitygw to listen")
        return self

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def objects(self, **changed: Any) -> S3Objects:
        """A client of the bucket, with these members of its configuration changed."""
        usual = {"endpoint": self.url, "bucket": BUCKET, "region": "us-east-1", "prefix": "gateway-1/"}
        return S3Objects(Bucket(**{**usual, "access_key": ACCESS, "secret_key": SECRET, **changed}))

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.kill()


class Cut:
    """Passes bytes on to a server, and breaks the first connection that has brought it `after` bytes; the next ones
    pass whole."""

    def __init__(self, port: int, after: int) -> None:
        self._to, self._left = port, after
        self.broke = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted and not self.broke.is_set():
                    self._left -= len(data)
                    if self._left <= 0:
                        self.broke.set()
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
