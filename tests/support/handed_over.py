"""A worker that Envoy hands connections over to, in a thread: it keeps what is said of them and gives back what comes,
in capitals."""

import contextlib
import socket
import threading
from pathlib import Path

from extproc.protocols.handover import ALIVE
from extproc.server.terminator.proxy_v2 import Announced, NotAnnounced, read_announced


class Receiver:
    """Listens on a unix socket until it is stopped. `seen` has each connection's head, and `received` what came after
    it, so far; `refused` counts those without one. With `alive` unset it accepts and does nothing, as a hung one."""

    def __init__(self, path: Path) -> None:
        self.seen: list[Announced] = []
        self.received: list[bytes] = []
        self.refused = self.asked = 0
        self.alive = threading.Event()
        self.alive.set()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it and all its connections."""
        self.alive.set()
        for end in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._thread.join(20)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._answer(connection)
        self._open.discard(connection)
        connection.close()

    def _answer(self, connection: socket.socket) -> None:
        data, found = b"", None
        while found is None:
            piece = connection.recv(65536)
            data += piece
            try:
                found = read_announced(data)
            except NotAnnounced:
                found = None
                self.refused += 1
            if not piece:
                return
        announced, used = found
        self.alive.wait()
        if announced.local:
            self.asked += 1
            connection.sendall(ALIVE)
            return
        index = len(self.seen)
        self.seen.append(announced)
        self.received.append(b"")
        piece = data[used:]
        while True:
            self.received[index] += piece
            connection.sendall(piece.upper())
            piece = connection.recv(65536)
            if not piece:
                return
