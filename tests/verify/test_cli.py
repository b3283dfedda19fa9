"""`holdpoint audit verify`, as people and programs use it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.witnesses import FileWitness
from extproc.audit.reader import records
from extproc.audit.verify import KeptInFile
from extproc.cli import main
from tests.verify.conftest import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A state folder at rest, with a witness in a file beside it."""
    house = House(tmp_path / "state")
    chore = house.archivist(FileWitness(tmp_path / "witness.jsonl", house.state))
    for n in range(3):
        house["worker-0"].append("config", {"n": n})
    chore.step()
    house.close()
    return house


def _run(capsys: pytest.CaptureFixture[str], house: House, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["audit", "verify", "--state", str(house.state), *arguments])
    return code, capsys.readouterr().out


def _json(capsys: pytest.CaptureFixture[str], house: House, *arguments: str) -> tuple[int, Any]:
    code, out = _run(capsys, house, "--json", *arguments)
    return code, json.loads(out)


def test_a_whole_trail_is_told_in_a_table(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each stream with how far it is signed and witnessed, and by whom; the heads, to be noted; the keys."""
    code, out = _run(capsys, house, "--witness", str(tmp_path / "witness.jsonl"))
    assert code == 0
    head, archivist, worker, *rest = out.splitlines()
    assert head.split("  ")[0] == "STREAM"
    assert archivist.startswith("archivist")
    assert "checkpoint 0" in worker
    assert f"witness   {tmp_path / 'witness.jsonl'}" in rest
    assert worker.endswith(" 0")
    last = list(records(house.folder("worker-0")))[-1]
    assert f"head      worker-0:{last.seq}:{last.hash}" in rest
    assert any(line.startswith(f"keys      {house.signer.key_id} from") for line in rest)
    assert rest[-1] == "everything is as it was written"
    assert _run(capsys, house, "--head", f"worker-0:{last.seq}:{last.hash}")[0] == 0


def test_a_copy_is_verified_with_the_witnesses_that_a_configuration_names(
    house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where it is named; the state folder is the copy's all the same."""
    agents = '{agents: [{issuer: "https://x", audience: a, jwks: keys.json}]}'
    (tmp_path / "c.yaml").write_text(
        f"version: 1\nstate: nowhere\nidentity: {agents}\ntargets: {{t: {{upstream: 'http://t'}}}}\n"
        "audit: {witnesses: [{file: witness.jsonl}]}\n"
    )
    assert "\nwitness " not in _run(capsys, house)[1]
    code, out = _run(capsys, house, "--config", str(tmp_path / "c.yaml"))
    assert (code, "\nwitness " in out) == (0, True)


def test_a_fault_names_its_place(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Stream, file, byte and record; exit code 1; likewise as JSON."""
    path = next(house.folder("worker-0").glob("*.segment"))
    record = list(records(house.folder("worker-0")))[2]
    data = bytearray(path.read_bytes())
    data[record.offset + 40] ^= 1
    path.write_bytes(data)
    code, out = _run(capsys, house)
    assert code == 1
    assert f"FAULT     bad-crc  worker-0  {path}: byte {record.offset}: record 2: " in out
    code, told = _json(capsys, house)
    assert (code, told["ok"]) == (1, False)
    fault = told["faults"][0]
    assert (fault["wrong"], fault["stream"], fault["path"]) == ("bad-crc", "worker-0", str(path))
    assert (fault["offset"], fault["seq"]) == (record.offset, 2)


def test_a_key_may_be_given(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In place of the state's own, and without it."""
    kept = tmp_path / "audit.pub"
    (house.state / "keys" / "audit.pub").rename(kept)
    code, told = _json(capsys, house)
    assert (code, told["faults"][0]["wrong"]) == (1, "no-key")
    code, told = _json(capsys, house, "--key", str(kept))
    assert (code, told["keys_from"]) == (0, str(kept))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--head", "x"],
        ["--since", "soon"],
        ["--key", "/nowhere"],
        ["--witness", "/nowhere"],
        ["--witness", "s3://bucket"],
        ["--state", "/nowhere"],
    ],
)
def test_mistakes_are_told(house: House, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit code 2, and what would be right."""
    assert main(["audit", "verify", "--state", str(house.state), *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    """An empty folder verifies nothing."""
    assert main(["audit", "verify", "--state", str(tmp_path)]) == 2
    (tmp_path / "journal").mkdir()
    assert main(["audit", "verify", "--state", str(tmp_path)]) == 2


def test_an_interrupt_ends_it_quietly(
    house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, and nothing is left behind."""

    def interrupted(self: KeptInFile) -> Iterator[tuple[str, bytes]]:
        assert list(scratch.iterdir())
        raise KeyboardInterrupt

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(KeptInFile, "documents", interrupted)
    code, out = _run(capsys, house, "--witness", str(tmp_path / "witness.jsonl"))
    assert (code, out) == (130, "")
    assert list(scratch.iterdir()) == []
