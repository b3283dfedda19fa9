"""Looks at the files that settings name: are they there, are they what is asked for, who else can read them.
Nothing that a credential holds is ever repeated. Everything here raises Wrong."""

import json
import os
import stat
from pathlib import Path

from extproc.config.values import Wrong

# Where distributions keep the bundle: Debian and Alpine; Red Hat; SUSE; Alpine and others, by OpenSSL's own name.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LARGEST_JWKS = 1 << 20
_LARGEST_PEM = 1 << 20
_KEY_BYTES = range(32, 4097)
# Envoy takes heads of 60 KiB.
_LARGEST_CREDENTIAL = 1 << 15


def file(path: Path) -> None:
    """A file that this user can read."""
    if stat.S_ISDIR(_stat(path).st_mode):
        raise Wrong(f"{path} is a folder; name a file")
    _read(path, 0)


def folder(path: Path) -> None:
    """A folder."""
    if not stat.S_ISDIR(_stat(path).st_mode):
        raise Wrong(f"{path} is not a folder; name the folder that it is in")


def file_or_folder(path: Path) -> None:
    """Either of the two."""
    if not stat.S_ISDIR(_stat(path).st_mode):
        file(path)


def credential(path: Path) -> None:
    """See `read_credential`."""
    read_credential(path)


def read_credential(path: Path) -> bytes:
    """A secret, sent byte for byte as the file has it. The setting's text is never repeated: a person who pastes the
    secret itself in its place must not find it in a log."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):
        raise Wrong("there is no such file; this names the file that holds the secret, not the secret itself") from None
    file(path)
    private(path)
    if size == 0:
        raise Wrong(f'{path} is empty; write the secret into it: printf %s "$SECRET" > {path}')
    content = _read(path, _LARGEST_CREDENTIAL)
    last = content[-1:]
    if last.isspace() or last == b"\0":
        ends = "a newline" if last == b"\n" else "white space"
        raise Wrong(f'{path} ends with {ends}, which would be sent too; write it with: printf %s "$SECRET" > {path}')
    if not all(byte == 9 or 32 <= byte != 127 for byte in content):
        raise Wrong(
            f"{path} holds a line break or a control character, which no header can carry; "
            f'write it with: printf %s "$SECRET" > {path}'
        )
    return content


def key(path: Path) -> None:
    """A secret of 32 bytes or more, whatever they are."""
    file(path)
    private(path)
    if (size := _stat(path).st_size) not in _KEY_BYTES:
        most = _KEY_BYTES.stop - 1
        raise Wrong(f"{path} holds {size} bytes, and a key has 32 to {most}: head -c 32 /dev/urandom > {path}")


def closed(path: Path) -> None:
    """A file or folder in which only its owner can change what the gateway does. A missing one is no fault."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except (OSError, ValueError):
        return
    if mode & 0o022:
        raise Wrong(f"others can write to it (mode {mode:04o}); close it with: chmod go-w {path}")


def private(path: Path) -> None:
    """A file that only its owner can use."""
    mode = stat.S_IMODE(_stat(path).st_mode)
    if mode & 0o077:
        raise Wrong(f"{path} is open to other users (mode {mode:04o}); close it with: chmod 600 {path}")


def private_key(path: Path) -> None:
    """A TLS key in PEM that only its owner can read."""
    file(path)
    private(path)
    if b"PRIVATE KEY-----" not in _read(path, _LARGEST_PEM):
        raise Wrong(f"{path} holds no private key in PEM; it has a line -----BEGIN PRIVATE KEY-----")


def certificates(path: Path) -> None:
    """One or more certificates in PEM."""
    file(path)
    if b"-----BEGIN CERTIFICATE-----" not in _read(path, _LARGEST_PEM):
        raise Wrong(f"{path} holds no certificate in PEM; it has a line -----BEGIN CERTIFICATE-----")


def system_authorities() -> Path | None:
    """The system's bundle of certificate authorities, or None where it keeps none in a known place. Envoy brings none
    of its own, and has to be told."""
    named = os.environ.get("SSL_CERT_FILE")
    return next((path for path in map(Path, (named, *_BUNDLES) if named else _BUNDLES) if path.is_file()), None)


def jwks(path: Path) -> None:
    """A JSON Web Key Set of public keys (RFC 7517): a private or shared one could sign tokens of anybody's."""
    file(path)
    try:
        document = json.loads(_read(path, _LARGEST_JWKS))
    except (ValueError, RecursionError):
        raise Wrong(f'{path} is not JSON; a key set looks like {{"keys": [...]}}') from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise Wrong(f'{path} is not a key set, or an empty one; it looks like {{"keys": [...]}}')
    if any("d" in key or key.get("kty") == "oct" for key in keys):
        raise Wrong(f"{path} holds a key that can sign tokens; leave only public keys in it")


def _stat(path: Path) -> os.stat_result:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise Wrong(f"there is no {path}") from None
    except OSError as error:
        raise Wrong(f"{path} can't be looked at ({error.strerror})") from None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise Wrong(f"{path} is neither a file nor a folder")
    return found


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise Wrong(f"{path} can't be read ({error.strerror})") from None
    if len(data) > limit > 0:
        raise Wrong(f"{path} is larger than {limit} bytes; is it the right file?")
    return data
