"""A company's own rules: read, tried, published and followed."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.app import masking_rules
from extproc.app.fingerprints import publish as publish_fingerprints
from extproc.app.knowledge import Known
from extproc.app.layout import Layout, StateUnusable
from extproc.app.masking_rules import MaskingRules, collect
from extproc.app.rule_files import RulesRefused
from extproc.config import Settings
from extproc.domain.json import Document
from extproc.masking.build import warm
from extproc.masking.engine.engine import Engine
from extproc.masking.engine.scanner import scan
from extproc.masking.plan import Knowledge
from extproc.masking.rules import shipped
from extproc.masking.rules.reading import read
from tests.live.making import CRM, Records, settings

SHIPPED = r"""
rules:
  - {id: tin, kind: tin, family: identity, pattern: 'T\d{6}', positive: ['T123456'], negative: ['T1']}
  - {id: tin-old, kind: tin, family: identity, pattern: 'OT\d{5}', positive: ['OT12345'], negative: ['OT1']}
"""
OWN = r"""
rules:
  - id: acme-customer
    kind: acme-customer
    family: identity
    pattern: 'AC-\d{6}'
    positive: ['AC-123456']
    negative: ['AC-12345']
"""
LIST = "words:\n  - {id: projects, kind: project, family: secret, words: [bluebird], file: lists/projects.txt}\n"
KEY = bytes(32)

Kinds = Callable[[Engine, str], list[str]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rules stand for all that come with Holdpoint, which take longer."""
    rules = read(SHIPPED, "shipped.yaml")
    monkeypatch.setattr(shipped, "rules", lambda: rules)


def found(engine: Engine, text: str) -> list[str]:
    """The kinds of what is found in a text."""
    return [span.kind for span in scan(engine.detector(), text)]


def given(home: Path, masking: str) -> Settings:
    """Settings with this `masking` section, in a folder with a file of rules and a list of words."""
    if not (home / "acme.yaml").exists():
        (home / "lists").mkdir()
        (home / "lists" / "projects.txt").write_text("Red Fox\n\n  grünspecht \n")
        (home / "acme.yaml").write_text(OWN + LIST)
        (home / "mask.key").write_bytes(b"k" * 40)
        (home / "mask.key").chmod(0o600)
    return settings(home, CRM, more=f"state: s\nmasking: {masking}")


def laid_out(home: Path, masking: str) -> tuple[Settings, Layout]:
    """The same with a state folder that has fingerprints."""
    made = given(home, masking)
    layout = Layout(made.state)
    layout.prepare()
    publish_fingerprints(made, layout)
    return made, layout


def test_own_rules_and_words_are_found_beside_the_shipped(tmp_path: Path) -> None:
    """A pattern, words in the file itself and words in a list of their own, whose blank lines count for nothing."""
    engine = collect(given(tmp_path, "{rules: [acme.yaml]}"), KEY).engine()
    text = "T123456 AC-123456 Bluebird, red fox; Grünspecht bluebirds"
    assert found(engine, text) == ["tin", "acme-customer", "project", "project", "project"]


@pytest.mark.parametrize(
    ("disable", "kinds"),
    [("[]", ["tin", "tin", "acme-customer"]), ("[tin-old]", ["tin", "acme-customer"]), ("[tin]", ["acme-customer"])],
)
def test_what_is_disabled_is_not_found_and_stays_known(tmp_path: Path, disable: str, kinds: list[str]) -> None:
    """By the id of a rule or by its kind; a mask for the kind goes on to be one that can be carried out."""
    engine = collect(given(tmp_path, f"{{rules: [acme.yaml], disable: {disable}}}"), KEY).engine()
    assert found(engine, "T123456 OT12345 AC-123456") == kinds
    assert engine.families["tin"] == "identity"


def _write(home: Path, text: str) -> None:
    (home / "acme.yaml").write_text(text)


BOTH = "{rules: [acme.yaml]}"
REFUSED: dict[str, tuple[str, str, str]] = {
    "no YAML": ("rules: [", BOTH, "expected node content, line 2, column 1"),
    "a tab": ("rules:\n\t- {id: a}", BOTH, "cannot start any token, line 2, column 1 (YAML is indented with spaces)"),
    "a misspelt member": (OWN.replace("pattern", "patern"), BOTH, "acme.yaml: rule acme-customer: unknown: patern"),
    "an id that is taken": (OWN.replace("id: acme-customer", "id: tin-old"), BOTH, "rule tin-old: this id is taken"),
    "a case that is not found": (
        OWN.replace("['AC-123456']", "['AC-12345']"),
        BOTH,
        "acme.yaml: rule acme-customer: 'AC-12345': a positive case, and",
    ),
    "a case that is found": (OWN.replace("['AC-12345']", "['AC-123456']"), BOTH, "a negative case, and 'AC-123456' is"),
    "a list that is not there": (
        LIST.replace("projects.txt", "none.txt"),
        BOTH,
        "acme.yaml: rule projects: file: HOME/lists/none.txt: can't be read (No such file",
    ),
    "a list that is no text": (LIST.replace("lists/projects.txt", "bytes"), BOTH, "file: HOME/bytes: not UTF-8"),
    "no path of a list": (LIST.replace("lists/projects.txt", "[]"), BOTH, "rule projects: file: expected the path"),
    "a list without words": (
        LIST.replace("projects.txt", "empty.txt").replace("[bluebird]", "[]"),
        BOTH,
        "has no words",
    ),
    "the same name twice": (OWN + OWN.lstrip(), BOTH, "acme.yaml: not YAML: a second `rules:`, line 9, column 1"),
    "nested without end": ("rules: " + "[" * 200_000, BOTH, "acme.yaml: not YAML: nested too deep"),
    "a pipe": (LIST.replace("lists/projects.txt", "pipe"), BOTH, "HOME/pipe: neither a file nor a link to one"),
    "nothing of that name": (
        OWN,
        "{rules: [acme.yaml], disable: [acme-custmer]}",
        'HOME/holdpoint.yaml: masking.disable: there is no rule or kind acme-custmer; did you mean "acme-customer"?',
    ),
}


@pytest.mark.parametrize(("text", "masking", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, masking: str, words: str) -> None:
    """The file as the configuration names it, the rule, and what would be right."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    made = given(tmp_path, masking)
    (tmp_path / "lists" / "empty.txt").write_text("\n")
    _write(tmp_path, text)
    with pytest.raises(RulesRefused) as caught:
        collect(made, KEY)
    assert words in str(caught.value).replace(str(tmp_path), "HOME")


def test_a_damaged_installation_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no gateway runs without the rules that come with it."""
    monkeypatch.setattr(shipped, "rules", lambda: read("rules: [{id: x}]", "x.yaml"))
    with pytest.raises(RulesRefused, match="installation is damaged"):
        collect(given(tmp_path, "{}"), KEY)


def test_published_and_known(tmp_path: Path) -> None:
    """In a private file, written when it is another; a program takes it while it runs, and keeps what it had where it
    can't."""
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    with pytest.raises(StateUnusable, match=r"masking\.json"):
        Known(layout)
    MaskingRules(made, layout).start()
    path = masking_rules.path_of(layout)
    assert path.stat().st_mode & 0o777 == 0o600
    seen = path.stat().st_ino
    known = Known(layout)
    assert found(known.now.engine, "AC-123456 T123456") == ["acme-customer", "tin"]
    MaskingRules(made, layout).start()
    assert path.stat().st_ino == seen
    before = known.now
    known.look()
    assert known.now is before

    _write(tmp_path, OWN.replace("AC-", "AD-"))
    MaskingRules(made, layout).start()
    known.look()
    assert found(known.now.engine, "AC-123456 AD-123456") == ["acme-customer"]
    publish_fingerprints(given(tmp_path, "{rules: [acme.yaml]}"), layout)

    path.write_text("{}")
    before = known.now
    with pytest.raises(StateUnusable, match="not what this version wrote"):
        known.look()
    assert known.now is before


def test_credentials_alone_need_no_new_engine(tmp_path: Path) -> None:
    """Rules take longer to compile than a credential may take to be known."""
    made, layout = laid_out(tmp_path, "{}")
    MaskingRules(made, layout).start()
    known = Known(layout)
    engine, credentials = known.now.engine, known.now.credentials
    (tmp_path / "next").write_text("another-s3cret-token")
    os.replace(tmp_path / "next", tmp_path / "token")
    publish_fingerprints(made, layout)
    known.look()
    assert known.now.engine is engine
    assert known.now.credentials != credentials


def test_a_key_of_ones_own_and_the_gateways(tmp_path: Path) -> None:
    """Each gives 32 bytes; the gateway's is made once, private, and is not what is published."""
    made, layout = laid_out(tmp_path, "{}")
    own = layout.read_mask_key()
    assert layout.mask_key.stat().st_mode & 0o777 == 0o600
    layout.prepare()
    assert layout.read_mask_key() == own
    ours, theirs = collect(made, own), collect(given(tmp_path, "{hash_key: mask.key}"), own)
    assert len({own, ours.hash_key, theirs.hash_key}) == 3
    assert len(ours.hash_key) == len(theirs.hash_key) == 32
    assert ours.version == theirs.version
    assert collect(given(tmp_path, "{hash_key: mask.key}"), KEY) == theirs


def test_new_rules_are_followed_and_bad_ones_refused(tmp_path: Path) -> None:
    """What is refused leaves the last good ones, is recorded with its owner, and is looked at again when it changes."""
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    rules, journal = MaskingRules(made, layout), Records()
    rules.start()
    good = masking_rules.read(layout)

    async def main() -> None:
        await rules.reload(journal)
        assert journal.of("config") == []
        _write(tmp_path, OWN.replace("pattern", "patern"))
        await rules.reload(journal)
        assert masking_rules.read(layout) == good
        _write(tmp_path, OWN)
        (tmp_path / "lists" / "projects.txt").unlink()
        await rules.reload(journal)

    asyncio.run(main())
    refused, changed = journal.of("config")
    assert (refused["what"], changed["what"]) == ("rules-refused", "rules-changed")
    assert "acme.yaml: rule acme-customer" in str(refused["why"])
    assert changed["version"] == masking_rules.read(layout).version != good.version
    assert "owners" in str(changed["by"])


def test_whoever_heard_of_a_refusal_hears_of_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The very rules that are in force are back: nothing changes, and that is said."""
    caplog.set_level("INFO", "holdpoint.masking")
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    rules, journal = MaskingRules(made, layout), Records()
    rules.start()
    for text in (OWN + LIST, "rules: [", OWN + LIST, OWN + LIST):
        _write(tmp_path, text)
        asyncio.run(rules.reload(journal))
    assert [r["what"] for r in journal.of("config")] == ["rules-refused", "rules-changed"]
    assert [line.split(";")[0] for line in caplog.messages] == ["new rules REFUSED", "rules are in force"]


def test_whoever_may_write_a_file_counts(tmp_path: Path) -> None:
    """A file that everybody may write is refused as soon as it is one."""
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    rules = MaskingRules(made, layout)
    rules.start()
    heard = asyncio.Event()

    class Heard(Records):
        def append(self, kind: str, body: Document) -> int:
            heard.set()
            return super().append(kind, body)

    records = Heard()

    async def follow() -> None:
        task = asyncio.create_task(rules.keep(records))
        (tmp_path / "acme.yaml").chmod(0o666)
        async with asyncio.timeout(20):
            await heard.wait()
        task.cancel()

    asyncio.run(follow())
    assert [r["what"] for r in records.of("config")] == ["rules-refused"]


def test_words_without_cases_are_warmed_up(tmp_path: Path) -> None:
    """As every worker does before its first request."""
    made = given(tmp_path, "{rules: [acme.yaml]}")
    _write(tmp_path, LIST)
    warm(Knowledge(collect(made, KEY).engine()))


def test_a_list_of_words_is_followed_too(tmp_path: Path) -> None:
    """Without a look at what did not change."""
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    rules, journal = MaskingRules(made, layout), Records()
    rules.start()
    (tmp_path / "lists" / "projects.txt").write_text("kingfisher\n")
    asyncio.run(rules.reload(journal))
    assert [r["what"] for r in journal.of("config")] == ["rules-changed"]
    assert found(masking_rules.read(layout).engine(), "Kingfisher red fox") == ["project"]


def test_a_gateway_comes_back_while_somebody_edits(tmp_path: Path) -> None:
    """With what was published of the same configuration; a new configuration has to be a good one."""
    made, layout = laid_out(tmp_path, "{rules: [acme.yaml]}")
    MaskingRules(made, layout).start()
    good = masking_rules.read(layout)
    _write(tmp_path, "rules: [")
    again = MaskingRules(made, layout)
    again.start()
    assert masking_rules.read(layout) == good
    with pytest.raises(RulesRefused):
        MaskingRules(given(tmp_path, "{rules: [acme.yaml], disable: [tin]}"), layout).start()
    _write(tmp_path, OWN)
    journal = Records()
    asyncio.run(again.reload(journal))
    assert [r["what"] for r in journal.of("config")] == ["rules-changed"]
