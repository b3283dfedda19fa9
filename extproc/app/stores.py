"""The object stores that a configuration names."""

from pathlib import Path

from extproc.adapters.objects import Bucket, S3Objects
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.objects import ObjectStoreError
from extproc.config import ObjectStoreSettings, Settings


def object_store(settings: ObjectStoreSettings) -> S3Objects:
    """The store, not connected yet. Raises ObjectStoreError where a file that it needs can't be read."""
    return S3Objects(
        Bucket(
            endpoint=str(settings.endpoint),
            bucket=settings.bucket,
            region=settings.region,
            prefix=settings.prefix,
            access_key=_secret(settings.access_key),
            secret_key=_secret(settings.secret_key),
            ca=_read(settings.ca) if settings.ca is not None else None,
        )
    )


def bodies_of(settings: Settings) -> Bodies:
    """What was recorded, wherever it is by now. Raises ObjectStoreError."""
    objects = settings.audit.objects
    folder = BodyFolder(settings.state / "bodies")
    return Bodies(folder, object_store(objects) if objects is not None else None)


def _secret(path: Path) -> str:
    try:
        return _read(path).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ObjectStoreError(f"{path}: holds something else than ASCII") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ObjectStoreError(f"{path}: {error.strerror}") from error
