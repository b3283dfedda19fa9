"""Those outside this machine who keep checkpoints: a file on another disk, a web service, a bucket."""

import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from extproc.audit.checkpoint import digest_of
from extproc.audit.checkpoints import Witness, WitnessUnreachable
from extproc.audit.objects import ObjectStore, ObjectStoreError
from extproc.config.audit import ObjectStoreSettings, WitnessSettings
from extproc.config.values import Url
from extproc.domain.json import Document

TIMEOUT_SECONDS = 10.0
LONGEST_LINE = 1 << 20
PREFIX = "checkpoints/"


def witness_of(settings: WitnessSettings, state: Path, store: Callable[[ObjectStoreSettings], ObjectStore]) -> Witness:
    """The witness that a configuration names; `store` opens an object store. Raises WitnessUnreachable for a file in
    the state folder: whoever can change the journal could change it too."""
    if settings.file is not None:
        return FileWitness(settings.file, state)
    if settings.webhook is not None:
        return WebhookWitness(settings.webhook)
    assert settings.objects is not None
    where = f"{settings.objects.bucket}/{settings.objects.prefix}"
    return ObjectWitness(store(settings.objects), f"bucket {where} at {settings.objects.endpoint}")


class FileWitness:
    """Appends one JSON document a line. The file's last line has to be the checkpoint before, so that a file which was
    cut or replaced is noticed and not gone on with."""

    def __init__(self, path: Path, state: Path) -> None:
        self.name = f"file {path}"
        self._path, self._size = path, 0
        if path.resolve().is_relative_to(state.resolve()):
            raise WitnessUnreachable(f"{path}: in the state folder, where it is no witness; name a file elsewhere")

    def hand(self, document: Document, first: bool) -> None:
        """See Witness. The line is on the disk when this returns."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                self._append(file.fileno(), document, first)
        except OSError as error:
            raise WitnessUnreachable(f"{self._path}: {error.strerror}") from error

    def _append(self, file: int, document: Document, first: bool) -> None:
        size = os.fstat(file).st_size
        if size < self._size:
            raise WitnessUnreachable(f"{self._path}: {size} bytes, there were {self._size}: it was cut")
        tail = os.pread(file, LONGEST_LINE, max(0, size - LONGEST_LINE))
        lines = tail.split(b"\n")
        torn = lines.pop()
        if torn:
            # Half a line of ours that a crash left, or its start is further off than any line is long.
            os.ftruncate(file, size := size - len(torn))
        if lines:
            last = self._last(lines[-1])
            if digest_of(last) == digest_of(document):
                return
            if digest_of(last) != document["previous"]:
                raise WitnessUnreachable(f"{self._path}: its last line is not the checkpoint before; put it back")
        elif not first:
            raise WitnessUnreachable(f"{self._path}: empty, and checkpoints were in it; put it back")
        line = json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        if os.write(file, line) != len(line):
            os.ftruncate(file, size)
            raise WitnessUnreachable(f"{self._path}: no space for the whole line")
        os.fsync(file)
        self._size = size + len(line)

    def _last(self, line: bytes) -> Document:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise WitnessUnreachable(f"{self._path}: its last line is no checkpoint; put it back")
        return found


class WebhookWitness:
    """POSTs each document. Who answers 200 to 299 says that it is kept for good. Redirects are not followed."""

    def __init__(self, url: Url, timeout: float = TIMEOUT_SECONDS) -> None:
        # The path may hold a secret of the receiver's.
        self.name = f"webhook {url.scheme}://{url.authority}"
        self._url, self._timeout = url, timeout

    def hand(self, document: Document, first: bool) -> None:
        """See Witness."""
        connection = (
            http.client.HTTPSConnection(
                self._url.host, self._url.port, timeout=self._timeout, context=ssl.create_default_context()
            )
            if self._url.scheme == "https"
            else http.client.HTTPConnection(self._url.host, self._url.port, timeout=self._timeout)
        )
        body = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        # The connection's own timeout is for each read: who answers a byte at a time would keep us for days.
        ending = threading.Timer(self._timeout, _cut, (connection,))
        try:
            connection.connect()
            ending.start()
            until = time.monotonic() + self._timeout
            connection.request("POST", self._url.path or "/", body, {"content-type": "application/json"})
            status = connection.getresponse().status
            if time.monotonic() > until:
                # What was cut off can look like an answer.
                raise TimeoutError(f"no answer within {self._timeout:.0f} s")
        except (OSError, http.client.HTTPException) as error:
            raise WitnessUnreachable(f"{self.name}: {str(error) or type(error).__name__}") from error
        finally:
            ending.cancel()
            connection.close()
        if not 200 <= status < 300:
            raise WitnessUnreachable(f"{self.name}: answered {status}, expected 200 to 299")


def _cut(connection: http.client.HTTPConnection) -> None:
    # Where it is closed already there is nothing to end.
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


class ObjectWitness:
    """Each checkpoint is an object, named by its number. One that is there already is not written again."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.name = name
        self._store = store

    def hand(self, document: Document, first: bool) -> None:
        """See Witness."""
        key = f"{PREFIX}{document['number']:020d}.json"
        body = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        try:
            if not self._store.exists(key):
                self._store.put(key, body)
            elif b"".join(self._store.get(key)) != body:
                raise WitnessUnreachable(f"{self.name}: holds another checkpoint of number {document['number']}")
        except ObjectStoreError as error:
            raise WitnessUnreachable(str(error)) from error
