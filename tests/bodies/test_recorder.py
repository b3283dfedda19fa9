"""What passes is in the file before it goes on, whole and once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.audit.bodies.address import address_of, salt_of
from extproc.audit.bodies.address import place as place_of
from extproc.audit.bodies.coding import FRAME_BYTES
from extproc.audit.bodies.salvage import salvage, strays
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.decision import Recording as Mode
from extproc.domain.ports import JournalUnwritable
from tests.bodies.conftest import KEY, Place
from tests.support.limits import file_limit

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def address(content: bytes) -> str:
    """What content is called under the tests' key."""
    digest = sha256(content).digest()
    return address_of(salt_of(KEY, digest), digest)


@shared
@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=8))
def test_the_address_is_the_contents(place: Place, content: bytes, cuts: list[int]) -> None:
    """However the content is cut into writes."""
    ends = [0, *sorted(min(c, len(content)) for c in cuts), len(content)]
    told = place.record(*(content[a:b] for a, b in pairwise(ends)))
    expected = {"mode": "full", "bytes": len(content), "kept": len(content), "type": "text/plain"}
    assert told == ({**expected, "address": address(content)} if content else expected)
    if content:
        assert place.read(told["address"]) == content
    assert place.under_way() == []


@shared
@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 40))
def test_the_head_alone_is_kept(place: Place, content: bytes, cut: int, head: int) -> None:
    """All is counted."""
    told = place.record(content[:cut], content[cut:], mode=Mode.HEAD, head=head)
    kept = content[:head]
    assert (told["bytes"], told["kept"], told.get("address")) == (
        len(content),
        len(kept),
        address(kept) if kept else None,
    )
    assert not kept or place.read(told["address"]) == kept


def test_metadata_touches_no_disk(place: Place) -> None:
    """Sizes and types are told; there is no file."""
    told = place.record(b"secret", mode=Mode.METADATA)
    assert told == {"mode": "metadata", "bytes": 6, "kept": 0, "type": "text/plain"}
    assert (place.under_way(), list(place.folder.list())) == ([], [])


def test_what_is_larger_than_a_frame(place: Place) -> None:
    """Becomes several; what they hold is one content."""
    content = os.urandom(FRAME_BYTES) + b"a" * (2 * FRAME_BYTES + 17)
    assert place.read(place.record(content)["address"]) == content


def test_files_are_ones_own(place: Place) -> None:
    """Nobody else reads them or enters their folders, whatever the umask."""
    before = os.umask(0)
    try:
        told = place.record(b"x")
    finally:
        os.umask(before)
    file = place_of(place.path, told["address"])
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o077) == (0o600, 0)


def test_plain_zstd_reads_a_body(place: Place, tmp_path: Path) -> None:
    """A file needs nothing of ours: any reader of zstd skips the salt."""
    told = place.record(b"hello ", b"world")
    code = (
        "import sys\n"
        "if sys.version_info >= (3, 14): from compression import zstd\n"
        "else: from backports import zstd\n"
        "sys.stdout.buffer.write(zstd.decompress(open(sys.argv[1], 'rb').read()))"
    )
    file = place_of(place.path, told["address"])
    assert subprocess.run([sys.executable, "-c", code, file], capture_output=True, check=True).stdout == b"hello world"


def test_the_same_content_is_stored_once(place: Place) -> None:
    """Its file's time says when it was recorded last."""
    first = place.record(b"again", decision="d1")["address"]
    file = place_of(place.path, first)
    os.utime(file, (1000, 1000))
    before = file.stat().st_ino
    assert place.record(b"again", decision="d2")["address"] == first
    assert (list(place.folder.list()), file.stat().st_ino) == ([first], before)
    assert place.folder.recorded(first) > 1000


def test_a_torn_file_is_replaced(place: Place) -> None:
    """What a power cut left of a body does not pass for it when the same content is recorded again."""
    told = place.record(b"again" * 100)
    file = place_of(place.path, told["address"])
    file.write_bytes(file.read_bytes()[:20])
    assert place.record(b"again" * 100, decision="d2") == told
    assert place.read(told["address"]) == b"again" * 100


def test_a_full_disk_lets_nothing_pass(place: Place) -> None:
    """A write that fails raises, the recorder says so until the disk takes something again, and nothing stays torn."""
    place.recorder.ready()
    recording = place.recorder.begin("d1", Mode.FULL, 0)
    recording.write("request", b"first")
    with file_limit(200):
        with pytest.raises(RecordingFailed, match=r"d1\.request: only 186 of 1010 bytes could be written"):
            recording.write("request", os.urandom(1000))
        with pytest.raises(RecordingFailed, match="File too large"):
            place.recorder.ready()
    place.recorder.ready()
    told = recording.finish()["bodies"]
    recording.settle()
    kept = {"mode": "full", "bytes": 5, "kept": 5, "address": address(b"first")}
    assert told == {"request": kept}
    assert place.read(address(b"first")) == b"first"


def test_a_body_that_finds_no_room_at_its_end(place: Place) -> None:
    """Its delivery says that it is pending; once there is room again it is shelved, and a record names it."""
    recording = place.recorder.begin("d1", Mode.FULL, 0)
    recording.write("response", b"all of it")
    written = (place.path / "tmp" / "w" / "d1.response").stat().st_size
    with file_limit(written):
        told = recording.finish()["bodies"]
        recording.settle()
    assert told == {"response": {"mode": "full", "bytes": 9, "kept": 9, "pending": True}}
    place.recorder.ready()
    found = {"address": address(b"all of it"), "bytes": 9, "kept": 9}
    assert place.records == [("recording", {"decision": "d1", "lane": "response", **found, "salvaged": True})]
    assert (place.read(address(b"all of it")), place.under_way()) == (b"all of it", [])


def kept_in_memory(records: list[object]) -> Callable[[str, object], None]:
    """A journal's stand-in."""
    return lambda kind, body: records.append((kind, body))


WRITER = """
import os, sys, signal
from pathlib import Path
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.domain.decision import Recording as Mode
recorder = Recorder(Shelf(Path(sys.argv[1]), b"k" * 32), "w", lambda kind, body: None)
recording = recorder.begin("d1", Mode.FULL, 0)
{then}
os.kill(os.getpid(), signal.SIGKILL)
"""
PASSED = b"one two " * 40 + b"three"
CRASHES = {
    "in mid-download": 'for piece in [b"one two "] * 40 + [b"three"]: recording.write("response", piece)',
    "before the delivery's record": (
        'for piece in [b"one two "] * 40 + [b"three"]: recording.write("response", piece)\nrecording.finish()'
    ),
}


@pytest.mark.parametrize("crash", CRASHES)
def test_what_passed_before_a_kill_is_salvaged(place: Place, crash: str) -> None:
    """A process that is killed has recorded every byte that it was told of."""
    code = WRITER.format(then=CRASHES[crash])
    ended = subprocess.run([sys.executable, "-c", code, str(place.path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert place.under_way() == ["d1.response"]
    assert salvage(place.shelf, "w", kept_in_memory(place.records)) == 1  # type: ignore[arg-type]
    found = {"address": address(PASSED), "bytes": len(PASSED), "kept": len(PASSED)}
    assert place.records == [("recording", {"decision": "d1", "lane": "response", **found, "salvaged": True})]
    assert (place.read(address(PASSED)), place.under_way()) == (PASSED, [])


def test_any_torn_end_is_cut(place: Place) -> None:
    """Wherever the last write was torn, what came before it is whole; and salvaging is told what was lost."""
    recording = place.recorder.begin("d1", Mode.FULL, 0)
    file = place.path / "tmp" / "w" / "d1.response"
    recording.write("response", b"whole ")
    good = file.stat().st_size
    recording.write("response", b"torn")
    everything = file.read_bytes()
    for end in range(good, len(everything)):
        file.write_bytes(everything[:end])
        records: list[object] = []
        assert salvage(place.shelf, "w", kept_in_memory(records)) == 1
        torn = {"torn": end - good} if end > good else {}
        found = {"address": address(b"whole "), "bytes": 6, "kept": 6, **torn}
        assert records == [("recording", {"decision": "d1", "lane": "response", **found, "salvaged": True})]


def test_a_record_that_fails_loses_nothing(place: Place) -> None:
    """Where salvaging can't be recorded, it is done again at the next start."""
    place.recorder.begin("d1", Mode.FULL, 0).write("request", b"asked")

    def full(_: str, __: object) -> None:
        raise JournalUnwritable("full")

    with pytest.raises(JournalUnwritable):
        salvage(place.shelf, "w", full)
    assert (place.under_way(), strays(place.path)) == (["d1.request"], ["w"])
    assert salvage(place.shelf, "w", kept_in_memory(place.records)) == 1  # type: ignore[arg-type]


def test_nothing_to_salvage(place: Place) -> None:
    """What was never begun, empty files, and what another salvaging left, give no record."""
    under_way = place.path / "tmp" / "w"
    (under_way / "d1.request").touch(0o600)
    (under_way / "d2.response.again").write_bytes(b"half")
    (under_way / ".probe").write_bytes(b"")
    assert salvage(place.shelf, "w", kept_in_memory(place.records)) == 0  # type: ignore[arg-type]
    assert (salvage(place.shelf, "nobody", place.records.append), place.under_way()) == (0, [])  # type: ignore[arg-type]
