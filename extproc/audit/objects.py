"""What the audit asks of an object store: the bodies that are moved there, and the checkpoints that it witnesses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class ObjectStoreError(Exception):
    """The store did not do what was asked. The message names the store and the object, and no credential."""


class ObjectStore(Protocol):
    """Objects by key. A key is text without a leading slash; each store puts its own prefix before it and takes it
    off again. Blocking; one thread at a time. Whatever goes wrong raises ObjectStoreError."""

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes, or a file's content, whole or not at all. An object of that key is replaced."""
        ...

    def get(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces of bounded size. One that is not there is an ObjectStoreError too."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object. One that is not there is no error."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with `prefix`, ascending."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        ...
