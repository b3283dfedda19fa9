"""The keeper's order of things: the record first, Envoy last, and what can't be done now is tried again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import orjson
import pytest

from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.app import config_watch
from extproc.app.config_watch import ConfigKeeper
from extproc.app.door import Door, NotTaken
from extproc.app.fingerprints import Credentials, path_of
from extproc.app.layout import Layout
from extproc.app.masking_rules import MaskingRules
from extproc.app.masking_rules import read as read_rules
from extproc.app.snapshot import active, read
from extproc.app.upstreams import Upstreams
from extproc.audit.bound import ROOMY_BYTES
from extproc.config import Settings, load
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from extproc.masking.rules import shipped
from tests.live.making import CRM, Records, configuration


class Envoys(Door):
    """A door that keeps the plans that it is given. `failures` are raised first, one a change; `done` is set when one
    is over and everything is swept."""

    def __init__(self) -> None:
        self.plans: list[EnvoyPlan] = []
        self.failures: Iterator[Exception] = iter(())
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
        self.credentials = Credentials(self.settings, self.layout)
        self.rules = MaskingRules(self.settings, self.layout)
        self.keeper = ConfigKeeper(
            self.settings, self.records, "envoy", self.door, upstreams, self.credentials, self.rules, ()
        )

    def edit(self, *targets: str, masking: str = "{}") -> Settings:
        """Write other targets, or what is found; what the file means then."""
        return load(configuration(self.home, *targets, more=f"state: s\nmasking: {masking}"))

    def told(self, name: str) -> dict[str, object]:
        """What a file beside the snapshot says; empty where there is none."""
        path = self.layout.config / name
        found = orjson.loads(path.read_bytes()) if path.exists() else {}
        assert isinstance(found, dict)
        return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A keeper whose configurations all pass Envoy's own check."""
    monkeypatch.setattr(config_watch, "checked", lambda settings, envoy, before=None: None)
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
    (record,) = kept.records.of("config")
    assert (record["what"], record["added"]) == ("changed", ["b"])
    (setting,) = cast(list[Document], record["settings"])
    assert (setting["path"], setting["before"]) == ("targets.b", None)


def test_a_record_of_much_has_room_for_all_that_matters(kept: Kept) -> None:
    """It stays small enough to be written whole, and says what it leaves out."""

    async def main() -> None:
        await kept.keeper.start()
        kept.edit(CRM, *(f'b{n}: {{upstream: "http://127.0.0.1:{9002 + n}"}}' for n in range(50)))
        await kept.keeper.reload()

    asyncio.run(main())
    (record,) = kept.records.of("config")
    told, left_out = record["settings"], record["settings_left_out"]
    assert isinstance(told, list)
    assert (len(told) + int(str(left_out)), len(orjson.dumps(record)) < ROOMY_BYTES) == (50, True)
    assert len(told) > 5


def test_what_could_not_be_published_leaves_everything_as_it_was(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials too; the record of the change is followed by one that says that nothing came of it."""
    used: list[Settings] = []
    use = kept.credentials.use

    def using(settings: Settings) -> None:
        used.append(settings)
        use(settings)

    monkeypatch.setattr(kept.credentials, "use", using)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> Settings:
        await kept.keeper.start()
        wanted = kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}')
        with monkeypatch.context() as patched:
            patched.setattr(config_watch, "publish", full)
            await kept.keeper.reload()
        assert kept.keeper.settings == kept.settings
        return wanted

    wanted = asyncio.run(main())
    assert used == [wanted, kept.settings]
    assert [r["what"] for r in kept.records.of("config")] == ["changed", "refused"]
    assert "came to nothing" in str(kept.records.of("config")[1]["why"])


def test_what_envoy_could_not_be_told_is_told_again(kept: Kept) -> None:
    """Programs of ours have it already; it counts as in force when Envoy has it too."""

    async def main() -> None:
        await kept.keeper.start()
        first = kept.told("in-force.json")["version"]
        kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}')
        kept.door.failures = iter([OSError(28, "No space left on device"), NotTaken("Envoy has not taken lds.json")])
        await kept.keeper.reload()
        await kept.keeper.reload()
        told = kept.told("in-force.json")
        assert (told["version"], told["pending"]) == (first, "[Errno 28] No space left on device")
        watching = asyncio.create_task(kept.keeper.watch())
        await asyncio.wait_for(kept.door.done.wait(), 30)
        watching.cancel()

    asyncio.run(main())
    assert [t.name for t in kept.door.plans[-1].targets] == ["crm", "b"]
    told = kept.told("in-force.json")
    assert (told["version"], told["pending"]) == (read(active(kept.layout)).version, None)


def test_a_program_that_has_not_taken_it_keeps_it_from_being_in_force(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that a change is in force before a request would find it so."""
    monkeypatch.setattr(config_watch, "_TAKEN_SECONDS", 0.0)
    kept.keeper._programs = ("worker-0",)

    async def main() -> None:
        await kept.keeper.start()
        first = kept.told("in-force.json")["version"]
        kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}')
        await kept.keeper.reload()
        told = kept.told("in-force.json")
        assert (told["version"], told["pending"]) == (first, "no answer from worker-0 within 0 s")
        assert len(kept.door.plans) == 1
        beat = kept.layout.beat("worker-0")
        beat.parent.mkdir(parents=True, exist_ok=True)
        beat.write_text(read(active(kept.layout)).version)
        monkeypatch.setattr(config_watch, "_TAKEN_SECONDS", 30.0)
        watching = asyncio.create_task(kept.keeper.watch())
        await asyncio.wait_for(kept.door.done.wait(), 30)
        watching.cancel()

    asyncio.run(main())
    assert kept.told("in-force.json")["version"] == read(active(kept.layout)).version


def test_a_credential_that_is_sent_in_another_form_is_known_in_it(kept: Kept) -> None:
    """Also where no file is another."""
    path = path_of(kept.layout)
    kept.credentials.look()
    before = path.read_bytes()
    kept.credentials.use(kept.edit(CRM.replace("token", "{file: token, prefix: 'Basic dXNlcjo='}")))
    assert path.read_bytes() != before


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


RULE = (
    "rules: [{id: acme, kind: acme, family: identity, pattern: 'AC-[0-9]{6}', positive: [AC-123456], negative: [x]}]\n"
)


def test_rules_come_with_the_configuration(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are published with it; a change with bad ones is refused whole, and one that comes to nothing is undone."""
    monkeypatch.setattr(shipped, "rules", lambda: ())
    (kept.home / "acme.yaml").write_text(RULE)
    own = [str(kept.home / "acme.yaml")]

    async def main() -> None:
        await kept.keeper.start()
        kept.rules.start()
        wanted = kept.edit(CRM, masking="{rules: [acme.yaml]}")
        await kept.keeper.reload()
        assert kept.keeper.settings == wanted
        assert [file.where for file in read_rules(kept.layout).files] == own

        kept.edit(CRM, 'b: {upstream: "http://127.0.0.1:9002"}', masking="{rules: [acme.yaml], disable: [acne]}")
        await kept.keeper.reload()
        assert kept.keeper.settings == wanted
        assert "masking.disable: there is no rule or kind acne" in str(kept.told("refused.json")["why"])
        assert read_rules(kept.layout).disabled == ()

        def full(*_: object) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as while_full:
            while_full.setattr(config_watch, "publish", full)
            kept.edit(CRM)
            await kept.keeper.reload()
        assert [file.where for file in read_rules(kept.layout).files] == own

    asyncio.run(main())
    assert [r["what"] for r in kept.records.of("config")] == ["changed", "refused", "changed", "refused"]
