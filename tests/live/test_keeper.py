"""The keeper's order of things: the record first, Envoy last, and what can't be done now is tried again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.app import config_watch
from extproc.app.config_watch import ConfigKeeper
from extproc.app.door import Door
from extproc.app.fingerprints import Credentials
from extproc.app.layout import Layout
from extproc.app.snapshot import active, read
from extproc.app.upstreams import Upstreams
from extproc.config import Settings, load
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from tests.live.making import CRM, Records, configuration


class Envoys(Door):
    """A door that keeps the plans that it is given. `failures` are raised first, one a change; `done` is set when one
    is over and everything is swept."""

    def __init__(self) -> None:
        self.plans: list[EnvoyPlan] = []
        self.failures: Iterator[OSError] = iter(())
        self.done = asyncio.Event()

    async def start(self, plan: EnvoyPlan) -> None:
        self.plans.append(plan)

    async def change(self, plan: EnvoyPlan) -> None:
        for failure in self.failures:
            raise failure
        self.plans.append(plan)

    async def sweep(self) -> None:
        if len(self.plans) > 1:
            self.done.set()


class Full(Records):
    """A journal that takes nothing once it is full."""

    full = False

    def append(self, kind: str, body: Document) -> int:
        if self.full:
            raise JournalUnwritable("the disk is full")
        return super().append(kind, body)


class Kept:
    """A keeper of a configuration, with what it needs."""

    def __init__(self, home: Path) -> None:
        self.home, self.records, self.door = home, Full(), Envoys()
        self.settings = load(configuration(home, more="state: s"))
        self.layout = Layout(self.settings.state)
        self.layout.prepare()
        upstreams = Upstreams(self.settings, self.records, lambda folder, target, addresses: False)
        self.keeper = ConfigKeeper(
            self.settings, self.records, "envoy", self.door, upstreams, Credentials(self.settings, self.layout), ()
        )

    def edit(self, *targets: str) -> Settings:
        """Write other targets; what the file means then."""
        return load(configuration(self.home, *targets, more="state: s"))

    def told(self, name: str) -> dict[str, object]:
        """What a file beside the snapshot says; empty where there is none."""
        path = self.layout.config / name
        found = orjson.loads(path.read_bytes()) if path.exists() else {}
        assert isinstance(found, dict)
        return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A keeper whose configurations all pass Envoy's own check."""
    monkeypatch.setattr(config_watch, "checked", lambda settings, envoy: None)
    return Kept(tmp_path)


def test_nothing_changes_while_the_journal_takes_no_record(kept: Kept) -> None:
    """And it does once the journal takes one again."""

    async def main() -> None:
        await kept.keeper.start()
        wanted = kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}')
        kept.records.full = True
        await kept.keeper.reload()
        assert read(active(kept.layout)).settings == kept.settings
        assert len(kept.door.plans) == 1
        assert "disk is full" in str(kept.told("refused.json")["why"])
        kept.records.full = False
        await kept.keeper.reload()
        assert read(active(kept.layout)).settings == wanted
        assert kept.told("refused.json") == {}

    asyncio.run(main())
    assert [(r["what"], r["added"]) for r in kept.records.of("config")] == [("changed", ["b"])]


def test_what_envoy_could_not_be_told_is_told_again(kept: Kept) -> None:
    """Programs of ours have it already; it counts as in force when Envoy has it too."""

    async def main() -> None:
        await kept.keeper.start()
        first = kept.told("in-force.json")["version"]
        kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}')
        kept.door.failures = iter([OSError(28, "No space left on device")])
        await kept.keeper.reload()
        assert kept.told("in-force.json")["version"] == first
        watching = asyncio.create_task(kept.keeper.watch())
        await asyncio.wait_for(kept.door.done.wait(), 30)
        watching.cancel()

    asyncio.run(main())
    assert [t.name for t in kept.door.plans[-1].targets] == ["crm", "b"]
    assert kept.told("in-force.json")["version"] == read(active(kept.layout)).version


def test_lines_that_move_change_nothing(kept: Kept) -> None:
    """A comment gives no record, for nothing is different."""

    async def main() -> None:
        await kept.keeper.start()
        file = kept.settings.file
        file.write_text("# a comment\n" + file.read_text())
        await kept.keeper.reload()
        assert kept.keeper.settings.targets[0].place.line == kept.settings.targets[0].place.line + 1

    asyncio.run(main())
    assert kept.records.of("config") == []
