"""The evidence bundle: a zip with records as they were hashed, bodies, and the way from each record to a signed head.

What is in it, and how it is checked, is said where it is checked: in `verifier`, which goes with every bundle. The
bundle follows from the journal alone: made again it is the same, unless a checkpoint has signed more since.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, cast

import orjson

from extproc.audit.export.exchange import Bodies, BodyGone, Session, addresses
from extproc.audit.export.proof import Place, Run, Unprovable, digests, runs
from extproc.audit.export.readme import readme
from extproc.audit.export.report_html import report
from extproc.audit.frame import Record
from extproc.audit.keys import Signer
from extproc.audit.segments import Folder

FORMAT = "holdpoint evidence 1"
VERIFIER = Path(__file__).with_name("verifier.py")
# The oldest time that a zip can say: nothing of when or where it was made is in a bundle.
_TIME = (1980, 1, 1, 0, 0, 0)
_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bundle is made from: the folder of the journal's streams, bodies, public keys in PEM by key id, and what
    signs the manifest: None where the gateway's key is not at hand."""

    journal: Path
    bodies: Bodies
    keys: Mapping[str, bytes]
    signer: Signer | None = None


def bundle(session: Session, source: Source) -> Iterator[bytes]:
    """The zip in pieces. Memory grows with the number of records of the session, not with their size nor with the
    bodies'. Raises JournalFault and Unprovable; what was given until then is no whole zip."""
    writer = _Writer()
    yield from writer.add("verify.py", iter((VERIFIER.read_bytes(),)))
    for key, pem in sorted(source.keys.items()):
        yield from writer.add(f"keys/{key}.pem", iter((pem,)))
    places: dict[str, list[Place]] = {}
    bodies: dict[str, None] = {}
    seen: set[tuple[str, int]] = set()
    for record in session.records():
        if (record.stream, record.seq) not in seen:
            seen.add((record.stream, record.seq))
            places.setdefault(record.stream, []).append(Place(record.seq, record.offset, record.prev))
            bodies |= dict.fromkeys(addresses(record))
            yield from writer.add(_name(record.stream, record.seq), iter((_payload(source.journal, record),)))
    gone: dict[str, str] = {}
    for address in sorted(bodies):
        try:
            salt = source.bodies.salt(address)
            yield from writer.add(f"bodies/{address}.body", source.bodies.content(address))
            yield from writer.add(f"bodies/{address}.salt", iter((salt.hex().encode(),)))
        except BodyGone as error:
            gone[address] = str(error)
    proof: list[Run] = []
    for run in runs(source.journal, places):
        proof.append(run)
        yield from writer.add(f"chain/{run.stream}-{run.first.seq}.txt", _chain(source.journal, run))
        yield from _head(writer, source.journal, run)
    yield from writer.add("report.html", report(session, proof, gone, source.bodies))
    told = readme(session.name, proof, gone, session.gone(), source.signer is not None)
    yield from writer.add("README.txt", iter((told.encode(),)))
    manifest = _canonical({"files": writer.files, "format": FORMAT})
    yield from writer.add("manifest.json", iter((manifest,)))
    if source.signer is not None:
        text = f"{FORMAT}\n{sha256(manifest).hexdigest()}\n"
        signature = {"key": source.signer.key_id, "signature": source.signer.sign(text)}
        yield from writer.add("manifest.sig", iter((_canonical(signature),)))
    yield writer.close()


class _Writer:
    """A zip that is written to nowhere: what is ready is given away."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._ready: list[bytes] = []
        self._zip = zipfile.ZipFile(cast(IO[bytes], _Sink(self._ready)), "w", zipfile.ZIP_DEFLATED)

    def add(self, name: str, content: Iterator[bytes]) -> Iterator[bytes]:
        """Write a file, once."""
        if name in self.files:
            return
        # What fails before its first piece leaves no file behind.
        first = next(content, b"")
        info = zipfile.ZipInfo(name, _TIME)
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
        digest = sha256(first)
        with self._zip.open(info, "w", force_zip64=True) as file:
            file.write(first)
            for piece in content:
                digest.update(piece)
                file.write(piece)
                yield from self._take(_PIECE)
        self.files[name] = digest.hexdigest()
        yield from self._take(_PIECE)

    def close(self) -> bytes:
        """What is left."""
        self._zip.close()
        return b"".join(self._ready)

    def _take(self, least: int) -> Iterator[bytes]:
        if sum(map(len, self._ready)) >= least:
            data = b"".join(self._ready)
            self._ready.clear()
            yield data


class _Sink:
    """The part of a file that zipfile needs where it can't seek."""

    def __init__(self, ready: list[bytes]) -> None:
        self._ready = ready

    def write(self, data: bytes) -> int:
        self._ready.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""


def _name(stream: str, seq: int) -> str:
    return f"records/{stream}-{seq}.json"


def _payload(journal: Path, record: Record) -> bytes:
    """The record's bytes as they were hashed."""
    with Folder(journal / record.stream) as folder:
        for offset, payload in folder.frames(record.offset, record.end):
            if offset == record.offset and sha256(payload).hexdigest() == record.digest:
                return payload
    raise Unprovable(f"stream {record.stream}: record {record.seq} is not at byte {record.offset} any more")


def _chain(journal: Path, run: Run) -> Iterator[bytes]:
    yield _canonical(run.header)
    lines: list[str] = []
    for digest in digests(journal, run):
        lines.append(f"{digest}\n")
        if len(lines) >= 4096:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def _head(writer: _Writer, journal: Path, run: Run) -> Iterator[bytes]:
    """What signed the end of a run."""
    if run.document is not None and run.signed is not None:
        yield from writer.add(
            f"checkpoints/{run.signed['checkpoint']}.json", iter((orjson.dumps(run.document, option=_SORTED),))
        )
    elif run.signed is not None:
        with Folder(journal / run.stream) as folder:
            payload = next(payload for _, payload in folder.frames(run.until))
        yield from writer.add(_name(run.stream, run.signed["seal"]), iter((payload,)))


def _canonical(document: object) -> bytes:
    return orjson.dumps(document, option=_SORTED | orjson.OPT_APPEND_NEWLINE)


_SORTED = orjson.OPT_SORT_KEYS
