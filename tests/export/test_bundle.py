"""Evidence bundles: they verify, and no change of any of their files goes unseen."""

import io
import json
import random
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from extproc.audit.bodies.address import address_of, place
from extproc.audit.export.bundle import VERIFIER, bundle
from extproc.audit.export.exchange import Session, addresses
from extproc.audit.export.proof import Unprovable
from extproc.audit.keys import make
from tests.export import making

PLACES = 12
"""Bytes that are changed in each file, one after the other."""


def files(data: bytes) -> dict[str, bytes]:
    """What is in a bundle."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder: Path, content: dict[str, bytes]) -> Path:
    """A bundle as unpacked."""
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def verify(bundle: Path, *arguments: str | Path) -> tuple[int, str]:
    """What the verifier says, as an auditor runs it: by itself, with nothing of ours on the path."""
    command = [sys.executable, "-I", "-B", str(VERIFIER), str(bundle), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def quickly(folder: Path) -> tuple[bool, str]:
    """The same in this process, for tests with many bundles."""
    from contextlib import redirect_stdout

    from extproc.audit.export import verifier

    out = io.StringIO()
    with redirect_stdout(out):
        code = verifier.main([str(folder)])
    return code == 0, out.getvalue()


def test_passes(zipped: bytes, public: Path, tmp_path: Path) -> None:
    """As a zip and unpacked, with the auditor's key and without, by its own copy of the verifier."""
    packed = tmp_path / "bundle.zip"
    packed.write_bytes(zipped)
    unpacked = write(tmp_path / "bundle", files(zipped))
    assert verify(packed, "--key", public)[0] == 0
    assert verify(unpacked, "--key", public)[0] == 0
    code, said = verify(packed)
    assert (code, said.splitlines()[-1]) == (0, "PASS")
    assert verify(unpacked) == (code, said)
    own = subprocess.run([sys.executable, unpacked / "verify.py"], capture_output=True, text=True, check=False)
    assert (own.returncode, own.stdout) == (0, said)


def test_made_again(world: making.World, zipped: bytes) -> None:
    """The same records make the same bytes."""
    assert b"".join(bundle(making.session(world.state), making.source(world))) == zipped


def test_holds(world: making.World, zipped: bytes) -> None:
    """It holds the session's records as they are in the journal, their bodies, and of others digests alone."""
    content = files(zipped)
    session = making.session(world.state)
    expected = {f"records/{r.stream}-{r.seq}.json" for r in session.records()}
    assert {name for name in content if name.startswith("records/")} == expected
    named = {address for record in session.records() for address in addresses(record)}
    assert {name for name in content if name.endswith(".body")} == {f"bodies/{address}.body" for address in named}
    assert b"billing-bot" not in b"".join(content.values())


def test_every_file_counts(zipped: bytes, tmp_path: Path) -> None:
    """A byte changed anywhere in any file is a FAIL; so is a file that is gone, cut, longer, or one too many."""
    content = files(zipped)
    folder = write(tmp_path / "bundle", content)
    assert quickly(folder)[0]
    dice = random.Random(11)
    for name, data in content.items():
        path = folder / name
        for at in sorted(dice.sample(range(len(data)), min(PLACES, len(data)))):
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            path.write_bytes(changed)
            good, said = quickly(folder)
            assert not good, f"{name}: byte {at}: {said}"
            assert "FAIL" in said
        for other in (data[:-1], data + b"\n", b""):
            path.write_bytes(other)
            assert not quickly(folder)[0], f"{name}: {len(other)} instead of {len(data)} bytes"
        path.unlink()
        if name != "manifest.sig":
            assert not quickly(folder)[0], f"{name}: gone"
        path.write_bytes(data)
    (folder / "records" / "more.json").write_bytes(b"{}")
    assert not quickly(folder)[0]


def test_says_where(zipped: bytes, tmp_path: Path) -> None:
    """The place of a fault is named, also where the manifest was made to fit."""
    content = files(zipped)
    record = next(name for name in content if name.startswith("records/worker-0"))
    body = next(name for name in content if name.endswith(".body"))
    chain = next(name for name in content if name.startswith("chain/worker-0"))
    for name in (record, body, chain):
        changed = content[name].replace(b"a", b"b") if name != chain else _swapped(content[name])
        folder = write(tmp_path / name.replace("/", "-"), refitted({**content, name: changed}))
        good, said = quickly(folder)
        assert not good
        assert said.splitlines()[-2].startswith(f"FAIL {name}: " if name != chain else "FAIL records/worker-0"), said


def test_made_to_fit(zipped: bytes, tmp_path: Path) -> None:
    """Whoever changes the report and makes a new manifest can't sign it; without a signature that is said."""
    content = files(zipped)
    content["report.html"] = content["report.html"].replace(b"j.okafor", b"m.nobody")
    folder = write(tmp_path / "signed", refitted(content, unsigned=False))
    assert "FAIL manifest.sig: not key" in quickly(folder)[1]
    good, said = quickly(write(tmp_path / "unsigned", refitted(content)))
    assert good
    assert "note report.html and README.txt are not signed; rely on records/ and bodies/ alone" in said


def test_not_the_auditors_key(zipped: bytes, tmp_path: Path) -> None:
    """A bundle that is signed with some other key is nothing to whoever knows the right one."""
    make(tmp_path / "other.key", tmp_path / "other.pub")
    packed = tmp_path / "bundle.zip"
    packed.write_bytes(zipped)
    code, said = verify(packed, "--key", tmp_path / "other.pub")
    assert code == 1
    assert "which is none that you gave" in said


def test_sealed(tmp_path: Path) -> None:
    """Where no checkpoint covers a record, the seal at the end of its segment does, across many small segments too."""
    world = making.World(tmp_path / "state")
    world.journal("worker-0", segment_bytes=1500)
    making.story(world)
    world.close()
    data = b"".join(bundle(making.session(world.state), making.source(world)))
    good, said = quickly(write(tmp_path / "bundle", files(data)))
    assert good, said
    runs = [json.loads(text.split(b"\n")[0]) for name, text in files(data).items() if name.startswith("chain/")]
    assert len(runs) > 3
    assert all("seal" in run["signed"] for run in runs)


def test_a_seal_names_no_body(tmp_path: Path) -> None:
    """Of the seal behind a run only the head is signed: what somebody writes into it besides proves no body."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.close()
    content = files(b"".join(bundle(making.session(world.state), making.source(world))))
    run = next(json.loads(text.split(b"\n")[0]) for name, text in content.items() if name.startswith("chain/"))
    seal = f"records/{run['stream']}-{run['signed']['seal']}.json"
    forged, salt = b"the agent asked for all of it", bytes(32)
    address = address_of(salt, sha256(forged).digest())
    said = json.loads(content[seal])
    said["body"]["bodies"] = {"request": {"address": address}}
    content |= {seal: json.dumps(said).encode(), f"bodies/{address}.body": forged}
    content[f"bodies/{address}.salt"] = salt.hex().encode()
    good, told = quickly(write(tmp_path / "bundle", refitted(content)))
    assert not good
    assert f"FAIL bodies/{address}.body: no record of the bundle names it" in told


def test_many_checkpoints(tmp_path: Path) -> None:
    """A long session is proved by the checkpoints that were made in it, so that no run is long."""
    world = making.World(tmp_path / "state")
    for _ in range(3):
        making.story(world)
        world.checkpoint()
    data = b"".join(bundle(making.session(world.state), making.source(world)))
    world.close()
    assert sum(name.startswith("checkpoints/") for name in files(data)) == 3
    assert quickly(write(tmp_path / "bundle", files(data)))[0]


def test_not_signed_yet(tmp_path: Path) -> None:
    """What comes after the last signed head is in the bundle; bundle, report and verifier say that it isn't signed."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.checkpoint()
    world.act("GET", "/late", reasons=[making.reason("http.reads", "read", "Reads are allowed", "allow")])
    content = files(b"".join(bundle(making.session(world.state), making.source(world))))
    good, said = quickly(write(tmp_path / "bundle", content))
    assert not good
    assert "FAIL not signed: worker-0, records 14 to 15" in said
    assert b"NOT SIGNED YET" in content["README.txt"]
    assert b"Not all of this is signed yet" in content["report.html"]
    world.checkpoint()
    content = files(b"".join(bundle(making.session(world.state), making.source(world))))
    world.close()
    assert quickly(write(tmp_path / "later", content))[0]


def test_body_gone(tmp_path: Path) -> None:
    """A body that retention took, and one that is damaged, are said to be missing; all else still verifies."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.checkpoint()
    named = sorted({a for record in making.session(world.state).records() for a in addresses(record)})
    place(world.state / "bodies", named[0]).unlink()
    damaged = place(world.state / "bodies", named[1])
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    content = files(b"".join(bundle(making.session(world.state), making.source(world))))
    world.close()
    good, said = quickly(write(tmp_path / "bundle", content))
    assert good
    assert "2 more are named and not here" in said
    for address in named[:2]:
        assert f"Body {address} is not here: ".encode() in content["README.txt"]


def test_without_the_gateways_key(world: making.World, tmp_path: Path) -> None:
    """From a copy of the state folder without its private key, the records are proved all the same."""
    data = b"".join(bundle(making.session(world.state), making.source(world, signed=False)))
    good, said = quickly(write(tmp_path / "bundle", files(data)))
    assert good
    assert "not signed; rely on records/" in said


def test_refuses_a_changed_journal(tmp_path: Path) -> None:
    """No bundle is made of a journal whose chain does not lead where the checkpoint says."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.checkpoint()
    world.close()
    segment = next((world.state / "journal" / "worker-0").glob("*.segment"))
    other = making.World(tmp_path / "other")
    making.story(other)
    other.close()
    session = making.session(world.state)
    kept = list(session.records())
    segment.write_bytes(next((other.state / "journal" / "worker-0").glob("*.segment")).read_bytes())
    assert kept
    with pytest.raises(Unprovable):
        list(bundle(Session("x", lambda: iter(()), lambda: iter(kept)), making.source(world)))


def refitted(content: dict[str, bytes], unsigned: bool = True) -> dict[str, bytes]:
    """The files with a manifest that fits them, as whoever has no key could make."""
    from hashlib import sha256

    listed = {n: sha256(d).hexdigest() for n, d in content.items() if n not in ("manifest.json", "manifest.sig")}
    manifest = json.dumps({"files": listed, "format": "holdpoint evidence 1"}, sort_keys=True, separators=(",", ":"))
    fitted = {**content, "manifest.json": manifest.encode() + b"\n"}
    if unsigned:
        del fitted["manifest.sig"]
    return fitted


def _swapped(chain: bytes) -> bytes:
    lines = chain.splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    return b"".join(lines)
