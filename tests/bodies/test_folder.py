"""Bodies are read back verified, in bounded memory, and deleted for good."""

import os
import tracemalloc
from collections.abc import Callable

import pytest

from extproc.audit.bodies.address import is_address
from extproc.audit.bodies.address import place as place_of
from extproc.audit.bodies.coding import Coder, Decoding, salt_frame
from extproc.audit.bodies.folder import BodyDamaged, BodyMissing
from extproc.audit.bodies.tidy import Tidy
from tests.bodies.conftest import Place

CONTENT = b"one " * 50 + b"two"


def flipped(at: int) -> Callable[[bytes], bytes]:
    """One bit of the byte at this place is another."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_any_changed_byte_is_named(place: Place) -> None:
    """Whichever byte of the file it is. What the content does not hang on may change: zstd leaves bits unused."""
    told = place.record(CONTENT)["address"]
    file = place_of(place.path, told)
    whole, told_of = file.read_bytes(), 0
    for at in range(len(whole)):
        file.write_bytes(flipped(at)(whole))
        try:
            read = place.read(told)
        except BodyDamaged as error:
            told_of += str(error).startswith(f"body {told}: ")
        else:
            assert read == CONTENT
            told_of += 1
    assert told_of == len(whole)


ALTERED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda d: d[:-50], "torn at byte 0"),
    "without its salt": (lambda d: d[:-40], "ends at byte \\d+ without its salt"),
    "half a salt": (lambda d: d[:-4], "torn at byte \\d+"),
    "empty": (lambda d: b"", "ends at byte 0 without its salt"),
    "goes on": (lambda d: d + b"x", "goes on after its end at byte \\d+"),
    "not zstd": (lambda d: b"x" * 100, "damaged after byte 0"),
    "another content": (lambda d: Coder().frame(b"other") + d[-40:], "its content is that of [0-9a-f]{64}"),
    "another salt": (lambda d: d[:-40] + salt_frame(bytes(32)), "its content is that of [0-9a-f]{64}"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_was_altered_is_named(place: Place, case: str) -> None:
    """With the body, and what is wrong with it."""
    alter, why = ALTERED[case]
    told = place.record(CONTENT)["address"]
    file = place_of(place.path, told)
    file.write_bytes(alter(file.read_bytes()))
    with pytest.raises(BodyDamaged, match=f"^body {told}: {why}"):
        place.read(told)


def test_a_bomb_takes_no_memory(place: Place) -> None:
    """A gibibyte that is a few kilobytes on disk is read in pieces."""
    zeros = bytes(1 << 20)
    told = place.record(*[zeros] * 64)["address"]
    tracemalloc.start()
    try:
        assert sum(map(len, place.folder.open(told))) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_a_window_of_another_size_is_refused() -> None:
    """A frame that asks for 128 MiB of memory to read it."""
    # Magic, a frame header without content size, a window of 2^27, and one empty last block.
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(27 - 10) << 3]) + b"\x01\x00\x00"
    pieces = iter([frame, b""])
    with pytest.raises(Exception, match="damaged after byte 0"):
        list(Decoding(lambda _: next(pieces)).content())


def test_what_is_not_there(place: Place) -> None:
    """Is missing, and what is no address is refused before it becomes a path."""
    absent = "ab" * 32
    with pytest.raises(BodyMissing, match=absent):
        place.read(absent)
    with pytest.raises(BodyMissing):
        place.folder.size(absent)
    assert (place.folder.exists(absent), place.folder.delete(absent)) == (False, False)
    for wrong in ("../" * 20, "AB" * 32, absent + "\n", ""):
        assert not is_address(wrong)
        with pytest.raises(ValueError, match="is no body's address"):
            place.read(wrong)


def test_a_deleted_body_is_gone(place: Place) -> None:
    """Its neighbours stay."""
    one, two = (place.record(c, decision=c.hex())["address"] for c in (b"one", b"two"))
    assert place.folder.size(one) > 40
    assert list(place.folder.list()) == sorted([one, two])
    assert place.folder.delete(one)
    assert list(place.folder.list()) == [two]


def test_what_was_recorded_again_is_not_deleted(place: Place) -> None:
    """Retention forgets what is old; the same content, recorded since, is somebody else's."""
    told = place.record(b"content")["address"]
    os.utime(place_of(place.path, told), (1000, 1000))
    assert not place.folder.delete(told, unless_since=1000)
    assert place.read(told) == b"content"
    assert place.folder.delete(told, unless_since=1001)
    assert not place.folder.exists(told)


def test_an_event_stream_is_tidied(place: Place) -> None:
    """What passed in small pieces is written anew as one frame: smaller, with the same address."""
    pieces = [b'data: {"delta": "word"}\n\n'] * 2000
    told = place.record(*pieces)["address"]
    before = place.folder.size(told)
    tidy = Tidy(place.path)
    assert (tidy.step(), list((place.path / "loose").iterdir())) == (False, [])
    assert place.folder.size(told) < before / 50
    assert place.read(told) == b"".join(pieces)


def test_tidying_leaves_evidence_alone(place: Place) -> None:
    """A body that was altered stays as it is, and one that was deleted is not brought back."""
    altered, deleted = (place.record(c, c, decision=c.hex())["address"] for c in (b"one", b"two"))
    file = place_of(place.path, altered)
    file.write_bytes(changed := flipped(file.stat().st_size - 1)(file.read_bytes()))
    place.folder.delete(deleted)
    assert Tidy(place.path).step() is False
    assert (file.read_bytes(), list(place.folder.list())) == (changed, [altered])
    assert list((place.path / "loose").iterdir()) == []


def test_a_deletion_that_was_cut_short_is_ended(place: Place) -> None:
    """Deleting again removes what a crash left aside."""
    told = place.record(b"content")["address"]
    file = place_of(place.path, told)
    file.rename(file.with_name(f".{file.name}"))
    assert not place.folder.exists(told)
    assert place.folder.delete(told)
    assert list(file.parent.iterdir()) == []
    assert not place.folder.delete(told)
