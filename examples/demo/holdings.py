"""What the agent has: every byte of its process's memory and of its files, looked through for what it must not have."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PIECE_BYTES = 4 << 20
MOST_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Holdings:
    """What was looked through, and where the secret was.

    memory: bytes of the process, 0 where the system shows them to nobody; known: whether what the agent does have was
    found there, or the search proves nothing; files: how many; found: where the secret was.
    """

    memory: int
    known: bool
    files: int
    found: tuple[str, ...]


def look(pid: int | None, folder: Path, secret: str, known: str) -> Holdings:
    """Look for `secret` in a process (None: it has ended) and in the files of a folder; for `known` in the process."""
    wanted, own = secret.encode(), known.encode()
    total, has_own, found = 0, False, []
    with suppress(OSError):  # it has ended, or we may not look: what was seen until then counts
        for piece in memory(pid, max(len(wanted), len(own))) if pid is not None else ():
            total += len(piece)
            has_own = has_own or own in piece
            if wanted in piece and "its memory" not in found:
                found.append("its memory")
    files = [path for path in folder.rglob("*") if path.is_file()]
    found += [str(path.relative_to(folder)) for path in files if wanted in path.read_bytes()]
    return Holdings(total, has_own, len(files), tuple(found))


def memory(pid: int, overlap: int) -> Iterator[bytes]:
    """What a process can read of its own memory, in pieces that overlap by this many bytes. Raises OSError."""
    process = Path(f"/proc/{pid}")
    left = MOST_BYTES
    with (process / "mem").open("rb", buffering=0) as source:
        for line in (process / "maps").read_text(encoding="utf-8", errors="replace").splitlines():
            region, rights, *_ = line.split()
            if "r" not in rights or "[v" in line:  # [vvar], [vsyscall]: the kernel's
                continue
            at, end = (int(number, 16) for number in region.split("-"))
            while at < end and left > 0:
                source.seek(at)
                try:
                    piece = source.read(min(PIECE_BYTES, end - at))
                except OSError:  # a part of a device, or of a file that became shorter
                    break
                if not piece:
                    break
                yield piece
                left -= len(piece)
                at += len(piece) if at + len(piece) >= end else max(len(piece) - overlap, 1)
