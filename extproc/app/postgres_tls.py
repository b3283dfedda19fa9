"""The certificate that database clients see: the listener's, read again when its files are others."""

import contextlib
import ssl
from pathlib import Path

from extproc.config import Tls
from extproc.protocols.postgres.auth.binding import server_end_point

Stamp = tuple[tuple[int, int, int] | None, ...]


class ListenerTls:
    """Gives the context for a new connection, and what binds a login to it. Belongs to one event loop; reading takes a
    millisecond, and happens when a file was replaced."""

    def __init__(self, files: Tls) -> None:
        """Raises OSError (ssl.SSLError too) where there is nothing to begin with."""
        self._files = files
        self._stamp = self._look()
        self._now = self._read()

    def __call__(self) -> tuple[ssl.SSLContext, bytes | None]:
        """What counts now; what was before where the new files can't be used."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(OSError, ValueError):
                self._now = self._read()
        return self._now

    def _look(self) -> Stamp:
        found: list[tuple[int, int, int] | None] = []
        for file in self._paths():
            try:
                there = file.stat()
            except OSError:
                found.append(None)
            else:
                found.append((there.st_ino, there.st_mtime_ns, there.st_size))
        return tuple(found)

    def _paths(self) -> tuple[Path, ...]:
        files = self._files
        return tuple(file for file in (files.certificate, files.key, files.client_ca) if file is not None)

    def _read(self) -> tuple[ssl.SSLContext, bytes | None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._files.certificate, self._files.key)
        context.set_alpn_protocols(["postgresql"])
        if self._files.client_ca is not None:
            context.load_verify_locations(self._files.client_ca)
            # Whoever shows none may still have a token.
            context.verify_mode = ssl.CERT_OPTIONAL
        context.sni_callback = _asked_for
        first = ssl.PEM_cert_to_DER_cert(_first(self._files.certificate.read_text("ascii")))
        return context, server_end_point(first)


def _first(chain: str) -> str:
    end = "-----END CERTIFICATE-----"
    return chain[chain.index("-----BEGIN CERTIFICATE-----") : chain.index(end) + len(end)]


def _asked_for(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    """Keep the server name that the client asked for where the connection's owner finds it."""
    connection.asked_for = name.lower() if name else None  # type: ignore[attr-defined]
