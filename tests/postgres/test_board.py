"""What workers tell one another of changed tables."""

from pathlib import Path

import pytest

from extproc.adapters.definitions import Board
from extproc.protocols.postgres.definitions import BELIEVED_SECONDS


class Clock:
    """Seconds, by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """One that stands still."""
    return Clock()


@pytest.fixture
def boards(tmp_path: Path, clock: Clock) -> tuple[Board, Board]:
    """Those of two workers."""
    return Board(tmp_path / "board", 0, clock), Board(tmp_path / "board", 1, clock)


def test_all_is_as_it_was(boards: tuple[Board, Board]) -> None:
    """As long as nobody changes anything."""
    ours, theirs = boards
    assert ours.mark() == theirs.mark() == ours.mark() is not None


@pytest.mark.parametrize("who", [0, 1])
def test_a_change_is_told_to_all(boards: tuple[Board, Board], who: int) -> None:
    """None while it is under way, and another mark afterwards; also of several at a time."""
    before = boards[0].mark()
    boards[who].begin()
    boards[who].begin()
    assert [board.mark() for board in boards] == [None, None]
    boards[who].end()
    assert [board.mark() for board in boards] == [None, None]
    boards[who].end()
    ours, theirs = (board.mark() for board in boards)
    assert ours == theirs
    assert None is not ours != before


def test_a_worker_that_died_changes_nothing_any_more(boards: tuple[Board, Board], tmp_path: Path, clock: Clock) -> None:
    """Its next life says so, and that something may have changed."""
    ours, theirs = boards
    before = ours.mark()
    theirs.begin()
    assert ours.mark() is None
    Board(tmp_path / "board", 1, clock)
    assert None is not ours.mark() != before


def test_what_nobody_told_is_seen_after_a_while(boards: tuple[Board, Board], clock: Clock) -> None:
    """For changes are not all made through a gateway."""
    before = boards[0].mark()
    clock.now += BELIEVED_SECONDS
    assert boards[0].mark() != before


@pytest.mark.parametrize("file", ["/dev/full", "/nowhere/at/all"])
def test_no_room_no_board(file: str) -> None:
    """Rather than a worker that dies once it touches it."""
    with pytest.raises(OSError, match=r"device|file"):
        Board(Path(file), 0)
