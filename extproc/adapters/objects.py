"""An S3-compatible object store."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from extproc.audit.objects import ObjectStoreError

if TYPE_CHECKING:
    # They exist for type checkers alone.
    from obstore.store import ClientConfig, RetryConfig

PART_BYTES = 8 * 1024 * 1024
"""Larger files go in parts of this size; an upload's memory is a few of them."""
_PARTS_AT_ONCE = 2
_PIECE_BYTES = 256 * 1024
# Whoever asks tries again by itself, so that nothing waits here while a store is away.
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_CONNECT, _STALLED, _WHOLE = timedelta(seconds=5), timedelta(seconds=20), timedelta(minutes=10)
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
# The library raises the second; its documentation names the first.
_NOT_FOUND = (NotFoundError, FileNotFoundError)
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_KEY = re.compile(r"[!-~]+")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where objects go. `endpoint` is the store's address without the bucket; `prefix` comes before every key; `ca` are
    certificates in PEM that the store is checked against, beside the system's."""

    endpoint: str
    bucket: str
    region: str
    prefix: str = ""
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    ca: bytes | None = field(default=None, repr=False)


class S3Objects:
    """Implements audit.objects.ObjectStore for one bucket. Connects when it is first used."""

    def __init__(self, bucket: Bucket) -> None:
        """Raises ObjectStoreError for an address or certificates that make no sense."""
        self.bucket = bucket
        if not bucket.endpoint.startswith(("http://", "https://")):
            raise ObjectStoreError(f"{bucket.endpoint}: not an object store's address; expected http:// or https://")
        # Either would make the library panic, which is no Exception.
        if not all(_KEY.fullmatch(key) for key in (bucket.access_key, bucket.secret_key)):
            raise ObjectStoreError(f"{bucket.endpoint}: a key is empty, or has a space or a line break in it")
        client: ClientConfig = {
            "allow_http": bucket.endpoint.startswith("http://"),
            "connect_timeout": _CONNECT,
            "read_timeout": _STALLED,
            "timeout": _WHOLE,
        }
        if bucket.ca is not None:
            client["root_certificate"] = bucket.ca
        try:
            self._store = S3Store(
                bucket.bucket,
                endpoint=bucket.endpoint.rstrip("/"),
                region=bucket.region,
                access_key_id=bucket.access_key,
                secret_access_key=bucket.secret_key,
                virtual_hosted_style_request=False,
                # Not every store knows the bulk request.
                disable_bulk_delete=True,
                client_options=client,
                retry_config=_RETRIES,
            )
        except (BaseError, ValueError) as error:
            raise ObjectStoreError(f"{bucket.endpoint}, bucket {bucket.bucket}: {_said(error)}") from None

    def put(self, key: str, data: bytes | Path) -> None:
        """See ObjectStore. A large file goes in parts, and is there with the last of them or not at all."""
        self._put(key, data, "overwrite")

    def put_new(self, key: str, data: bytes) -> None:
        """Store bytes where there is no object of that key. Raises ObjectStoreError where there is one: the store
        decides (If-None-Match), so of two writers one learns of the other."""
        self._put(key, data, "create")

    def get(self, key: str) -> Iterator[bytes]:
        """See ObjectStore."""
        found = self._ask(key, lambda: obstore.get(self._store, self._at(key)))
        stream = iter(found.stream(min_chunk_size=_PIECE_BYTES))
        while (piece := self._ask(key, lambda: next(stream, None))) is not None:
            yield bytes(piece)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with suppress(_Absent):
            self._ask(key, lambda: obstore.delete(self._store, self._at(key)))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ObjectStore."""
        # The library lists what lies below a folder; a prefix need not end at one.
        below = self._at(prefix)
        folder = below.rpartition("/")[0]
        pages = iter(obstore.list(self._store, folder or None))
        while (page := self._ask(prefix, lambda: next(pages, None))) is not None:
            for entry in page:
                if entry["path"].startswith(below):
                    yield entry["path"][len(self.bucket.prefix) :]

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        try:
            self._ask(key, lambda: obstore.head(self._store, self._at(key)))
        except _Absent:
            # A bucket that is not there is no object that is not there.
            self._ask("", lambda: next(iter(obstore.list(self._store, self._at(key), chunk_size=1)), None))
            return False
        return True

    def _put(self, key: str, data: bytes | Path, mode: Literal["create", "overwrite"]) -> None:
        large = isinstance(data, Path) and data.stat().st_size > PART_BYTES
        self._ask(
            key,
            lambda: obstore.put(
                self._store,
                self._at(key),
                data,
                mode=mode,
                use_multipart=large,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            ),
        )

    def _at(self, key: str) -> str:
        return self.bucket.prefix + key

    def _ask(self, key: str, question: Callable[[], T]) -> T:
        try:
            return question()
        except (BaseError, OSError) as error:
            where = f"{self.bucket.endpoint}, bucket {self.bucket.bucket}"
            absent = isinstance(error, _NOT_FOUND) and _code(error) in ("", "NoSuchKey")
            kind = _Absent if absent else ObjectStoreError
            raise kind(f"{where}, object {self._at(key)!r}: {_said(error)}") from None


class _Absent(ObjectStoreError):
    """There is no such object."""


def _code(error: Exception) -> str:
    """The store's own word for what is wrong; a HEAD has none."""
    found = _CODE.search(str(error))
    return found.group(1) if found else ""


def _said(error: Exception) -> str:
    """What went wrong, in one line and without the library's own traces."""
    code = _code(error)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or code in _REFUSED:
        return f"the store refuses this access key, or this key for this bucket ({code or 'forbidden'})"
    if code == "NoSuchBucket":
        return "the store has no such bucket"
    if isinstance(error, AlreadyExistsError):
        return "there is one already"
    if isinstance(error, _NOT_FOUND) and code in ("", "NoSuchKey"):
        return "there is none"
    if code:
        return f"the store says {code}"
    return str(error).strip().splitlines()[0][:300]
