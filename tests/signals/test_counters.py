"""Exact counts over processes, what tells workers to count, and what happens where it can't be done."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from extproc.adapters.counters import LINGER_SECONDS, Counters, Wanted, wants_counters
from extproc.adapters.signals_history import PolicyHistory
from extproc.adapters.signals_reader import SignalsReader
from extproc.domain.decision import Mode
from extproc.domain.json import Document
from extproc.domain.limits import Limits
from extproc.domain.ports import HistoryUnavailable
from tests.signals.conftest import AGENT, START

RESERVING = """
import asyncio, sys
from pathlib import Path
from extproc.adapters.counters import Counters
async def main():
    counters = Counters(Path(sys.argv[1]))
    found = [await counters.reserve("i s", "crm", "GET") for _ in range(int(sys.argv[2]))]
    await counters.close()
    print(" ".join(str(f["target"]["day"]) for f in found))
asyncio.run(main())
"""


def test_no_place_is_taken_twice_by_several_processes(tmp_path: Path) -> None:
    """Each reservation of four processes gives a number of its own."""
    argv = [sys.executable, "-c", RESERVING, str(tmp_path / "counters.db"), "50"]
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) for _ in range(4)]
    numbers = [int(n) for process in running for n in process.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 201))


DRAWING = """
import asyncio, sys
from pathlib import Path
from extproc.adapters.counters import Counters
from extproc.domain.limits import Limits
from extproc.domain.principal import Kind, Principal
async def main():
    counters = Counters(Path(sys.argv[1]))
    agent = Principal("i", "s", Kind.AGENT)
    found = [await counters.draw(agent, "crm", 3, 7, Limits(rows_per_hour=200)) for _ in range(50)]
    await counters.close()
    print(sum(found))
asyncio.run(main())
"""


def test_several_processes_never_give_more_than_an_hours_rows(tmp_path: Path) -> None:
    """Four processes at the same time: 66 times 3 rows, and not one more."""
    argv = [sys.executable, "-c", DRAWING, str(tmp_path / "counters.db")]
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) for _ in range(4)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in running) == 66


def test_an_hours_rows_and_bytes(tmp_path: Path) -> None:
    """By principal and target; what is refused counts nothing; after an hour there is room again."""
    now = START

    async def scene() -> list[bool]:
        nonlocal now
        counters = Counters(tmp_path / "counters.db", lambda: now)
        rows, size = Limits(rows_per_hour=10), Limits(bytes_per_hour=100)
        found = [
            await counters.draw(AGENT, "crm", 8, 50, rows),
            await counters.draw(AGENT, "crm", 3, 10, rows),
            await counters.draw(AGENT, "crm", 2, 10, rows),
            await counters.draw(AGENT, "crm", 1, 40, size),
            await counters.draw(AGENT, "crm", 1, 1, size),
            await counters.draw(AGENT, "mail", 10, 100, Limits(rows_per_hour=10, bytes_per_hour=100)),
        ]
        await counters.reserve(AGENT.key, "crm", "GET")
        now += 3599
        found.append(await counters.draw(AGENT, "crm", 1, 1, rows))
        now += 301
        found.append(await counters.draw(AGENT, "crm", 10, 1, rows))
        await counters.close()
        return found

    assert asyncio.run(scene()) == [True, False, True, True, False, True, False, True]


def test_scopes_and_windows(tmp_path: Path) -> None:
    """Sums by target and verb (in any case), sliding; and kept over a restart."""
    now = START

    def clock() -> float:
        return now

    async def scene() -> list[dict[str, tuple[int, ...]]]:
        nonlocal now
        seen = []
        for target, verb, wait in [("crm", "GET", 0), ("crm", "get", 59), ("crm", "POST", 10), ("mail", "GET", 4000)]:
            now += wait
            counters = Counters(tmp_path / "counters.db", clock)
            used = await counters.reserve("i s", target, verb)
            await counters.reserve("i other", target, verb)
            await counters.close()
            seen.append({scope: tuple(sums.values()) for scope, sums in used.items()})
        return seen

    assert asyncio.run(scene()) == [
        {"all": (1, 1, 1), "target": (1, 1, 1), "verb": (1, 1, 1)},
        {"all": (2, 2, 2), "target": (2, 2, 2), "verb": (2, 2, 2)},
        {"all": (2, 3, 3), "target": (2, 3, 3), "verb": (1, 1, 1)},
        {"all": (1, 1, 4), "target": (1, 1, 1), "verb": (1, 1, 1)},
    ]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        ({"any.a": {"reads": {}}, "any.b": {}, "any.c": None}, None),
        ({"any.a": {"reads": {"history": "enforce"}}}, None),
        ({"any.a": {"reads": {"history.used": "shadow"}}}, Mode.SHADOW),
        ({"a": {"reads": {"history.used": "shadow"}}, "b": {"reads": {"history.used": "enforce"}}}, Mode.ENFORCE),
    ],
)
def test_who_wants_counters(metadata: dict[str, object], expected: Mode | None) -> None:
    """The gravest mode of a rule that reads them."""
    assert wants_counters(metadata) == expected


def test_workers_learn_it_from_the_file(tmp_path: Path) -> None:
    """At once where more is wanted; some seconds later where less is, for the engine may serve the old bundle still."""
    file, now = tmp_path / "reads.json", 0.0
    wanted = Wanted(file, lambda: now)

    def write(text: str) -> None:
        other = tmp_path / "new"
        other.write_text(text)
        other.replace(file)

    assert wanted() is Mode.SHADOW
    write('{"history.used": null}')
    assert wanted() is None
    write('{"history.used": "enforce"}')
    assert wanted() is Mode.ENFORCE
    write('{"history.used": null}')
    assert wanted() is Mode.ENFORCE
    now = LINGER_SECONDS
    assert wanted() is None
    for garbage in ("", "[]", '{"history.used": "loud"}'):
        write(garbage)
        assert wanted() is Mode.SHADOW


@pytest.mark.parametrize("break_it", [lambda p: p.mkdir(), lambda p: p.write_bytes(b"no database" * 500)])
@pytest.mark.parametrize("wanted", [None, Mode.SHADOW, Mode.ENFORCE])
def test_what_cannot_be_counted_stops_only_who_is_enforced(
    tmp_path: Path, break_it: Callable[[Path], object], wanted: Mode | None
) -> None:
    """Without counters: an enforced rule's action is not decided; a shadow rule's goes on without `used`."""
    break_it(tmp_path / "counters.db")

    async def ask() -> dict[str, object]:
        counters = Counters(tmp_path / "counters.db")
        history = PolicyHistory(SignalsReader(tmp_path / "signals.db"), counters, lambda: wanted)
        try:
            return dict(await history.of(AGENT, "crm", "GET", "10.0.0.7"))
        finally:
            await counters.close()

    if wanted is Mode.ENFORCE:
        with pytest.raises(HistoryUnavailable, match=r"counters\.db"):
            asyncio.run(ask())
    else:
        assert asyncio.run(ask()) == {"known": False}


def test_counted_where_it_is_wanted(tmp_path: Path) -> None:
    """`used` stands beside what the watcher told, or beside its silence."""

    async def ask() -> dict[str, object]:
        counters = Counters(tmp_path / "counters.db")
        history = PolicyHistory(SignalsReader(tmp_path / "signals.db"), counters, lambda: Mode.ENFORCE)
        await history.of(AGENT, "crm", "GET", "10.0.0.7")
        found = await history.of(AGENT, "crm", "GET", "10.0.0.7")
        await counters.close()
        return dict(found)

    sums = {"minute": 2, "hour": 2, "day": 2}
    assert asyncio.run(ask()) == {"known": False, "used": {"all": sums, "target": sums, "verb": sums}}


class Told:
    """Figures as the watcher told them a moment ago."""

    def of(self, *_: object) -> dict[str, object]:
        """One network, as of then."""
        return {"known": True, "credential": {"networks": ["10.0.0.0/24"], "environments": []}}


@pytest.mark.parametrize(
    ("source", "networks"),
    [
        ("10.0.0.9", ["10.0.0.0/24"]),
        ("10.9.0.1", ["10.0.0.0/24", "10.9.0.0/24"]),
        ("2001:db8::1", ["10.0.0.0/24", "2001:db8::/64"]),
        ("", ["10.0.0.0/24"]),
    ],
)
def test_where_this_request_comes_from_counts_at_once(tmp_path: Path, source: str, networks: list[str]) -> None:
    """The watcher is a moment behind; a copied credential is found out at its first use."""

    async def ask() -> Document:
        counters = Counters(tmp_path / "counters.db")
        found = await PolicyHistory(cast(SignalsReader, Told()), counters, lambda: None).of(AGENT, "crm", "GET", source)
        await counters.close()
        return found

    found = asyncio.run(ask())
    assert found["credential"] == {"networks": networks, "environments": []}
