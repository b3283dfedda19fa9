"""Checks an evidence bundle of Holdpoint. One file, Python 3.8 or later, nothing to install.

    python3 verify.py [BUNDLE.zip] [--key audit.pub]     exit code 0: PASS, 1: FAIL, 2: nothing was checked
Without BUNDLE.zip it checks the folder that it is in; with --key, only that key's signatures count. What is checked:
 1. manifest.json names every file with its SHA-256, and there is no other file. manifest.sig is the gateway's signature
    of the manifest; without it the files made for people (report.html, README.txt) are not signed.
 2. records/STREAM-SEQ.json is a record of the journal, byte for byte. Its SHA-256 is its digest.
 3. chain/STREAM-SEQ.txt is a run of the journal: a line that says where it begins, then the digest of every record from
    there on (of what belongs to others, only the digest is given). A record's hash is SHA-256(hash before + digest), of
    bytes. Each record of the bundle stands in a run, at its number, with the hash before it.
 4. A run ends at a signed head: signed by a seal (the stream's next record) or a checkpoint (checkpoints/N.json).
 5. bodies/ADDRESS.body is a body that a record names: ADDRESS = SHA-256(salt + SHA-256(content)).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import IO, Any

# Ed25519, verification only: RFC 8032, section 5.1. The curve is -x² + y² = 1 + d x² y² modulo P; a point is (x, y),
# the neutral one (0, 1). Slow and plain: nothing is secret here, so nothing has to take equal time for all input.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The sum of two points, equal or not."""
    both = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + both, -1, P) % P
    return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - both, -1, P) % P


def times(n: int, point: tuple[int, int]) -> tuple[int, int]:
    """The point added to itself n times, by n's bits from the lowest."""
    total = (0, 1)
    while n:
        total = add(total, point) if n & 1 else total
        point, n = add(point, point), n >> 1
    return total


def point_of(y: int, odd: int) -> tuple[int, int]:
    """The point of this y whose x is odd or even. Raises ValueError where the curve has none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)  # a root of the square, or of its negative
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P  # times a root of -1
    if y >= P or x * x % P != square or (x == 0 and odd):
        raise ValueError("not a point of the curve")
    return (x if x & 1 == odd else P - x), y


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the message: R = [S]B - [k]A. Raises ValueError where it is no key."""
    number, s = int.from_bytes(public, "little"), int.from_bytes(signature[32:], "little")
    x, y = point_of(number & (2**255 - 1), number >> 255)
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    r = add(times(s, point_of(4 * pow(5, -1, P) % P, 0)), times(k % L, (P - x, y)))
    return len(signature) == 64 and s < L and (r[1] | (r[0] & 1) << 255).to_bytes(32, "little") == signature[:32]


class Wrong(Exception):
    """The bundle is not what it says; the text is where and what."""


def must(good: bool, where: str, what: str) -> None:
    if not good:
        raise Wrong(f"{where}: {what}")


def key_of(pem: bytes, where: str) -> tuple[str, bytes]:
    """The id and the 32 bytes of a public key in PEM (RFC 8410: twelve bytes that say Ed25519, then the key)."""
    lines = pem.decode("ascii", "replace").strip().splitlines()
    framed = lines[:1] + lines[-1:] == ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"]
    der = base64.b64decode("".join(lines[1:-1]), validate=True) if framed else b""
    must(len(der) == 44 and der.hex().startswith("302a300506032b6570032100"), where, "is no Ed25519 key in PEM")
    return hashlib.sha256(der[12:]).hexdigest()[:16], der[12:]


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Check:
    """One bundle, a folder or a zip. `trusted` are the ids of keys that somebody has from elsewhere, or none."""

    def __init__(self, bundle: Path, trusted: set[str]) -> None:
        self.path, self.trusted = bundle, trusted
        self.zip = None if bundle.is_dir() else zipfile.ZipFile(bundle)
        found = [p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()]
        self.names = sorted(found if self.zip is None else self.zip.namelist())
        self.keys: dict[str, bytes] = {}
        self.used: set[str] = set()
        self.unsigned: list[str] = []

    def under(self, folder: str) -> list[str]:
        return [name for name in self.names if name.startswith(folder)]

    def open(self, name: str) -> IO[bytes]:
        must(name in self.names, name, "is not in the bundle")
        return (self.path / name).open("rb") if self.zip is None else self.zip.open(name)

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def sha256(self, name: str) -> bytes:
        total = hashlib.sha256()
        with self.open(name) as file:  # it may be longer than the memory
            for piece in iter(lambda: file.read(1 << 20), b""):
                total.update(piece)
        return total.digest()

    def signature(self, where: str, document: dict[str, Any], text: bytes) -> None:
        """Check the signature in `document` with the key that it names."""
        name, given = str(document.get("key")), str(document.get("signature"))
        must(name in self.keys, where, f"its key {name} is not in keys/")
        must(not self.trusted or name in self.trusted, where, f"signed with key {name}, which is none that you gave")
        value = base64.b64decode(given)
        good = base64.b64encode(value).decode() == given and signed(self.keys[name], text, value)
        must(good, where, f"not key {name}'s signature of this")
        self.used.add(name)

    def files(self) -> str:
        raw = self.read("manifest.json")
        listed = json.loads(raw)["files"]
        expected = canonical({"files": listed, "format": "holdpoint evidence 1"}) + b"\n"
        must(raw == expected, "manifest.json", "is not written as the format says")
        must(len(self.names) == len(set(self.names)), "the bundle", "holds two files of one name")
        for name in self.names:
            must(name in listed or name in ("manifest.json", "manifest.sig"), name, "manifest.json does not name it")
        for name in listed:
            must(self.sha256(name).hex() == listed[name], name, "changed: its SHA-256 is not manifest.json's")
        for name in self.under("keys/"):
            key, raw_key = key_of(self.read(name), name)
            must(name == f"keys/{key}.pem", name, f"is the key {key}")
            self.keys[key] = raw_key
        if "manifest.sig" in self.names:
            document = json.loads(self.read("manifest.sig"))
            must(self.read("manifest.sig") == canonical(document) + b"\n", "manifest.sig", "is malformed")
            text = f"holdpoint evidence 1\n{hashlib.sha256(raw).hexdigest()}\n"
            self.signature("manifest.sig", document, text.encode())
        return f"{len(listed)} files are what manifest.json says"

    def records(self) -> str:
        """Every run to its signed head, and every record in a run."""
        given, self.chained, seals, digests = set(self.under("records/")), set(), set(), 0
        must(bool(given), "records/", "there is none")
        for name in self.under("chain/"):
            with self.open(name) as lines:
                run = json.loads(lines.readline())
                stream, seq, head = run["stream"], run["first"], bytes.fromhex(run["prev"])
                for line in lines:
                    digest, record = bytes.fromhex(line.decode().rstrip("\n")), f"records/{stream}-{seq}.json"
                    must(len(digest) == len(head) == 32, name, f"the digest of record {seq} is not one")
                    if record in given:
                        must(self.sha256(record) == digest, record, "its SHA-256 is not the digest in the chain")
                        says = json.loads(self.read(record))
                        found = (says["stream"], says["seq"], says["prev"])
                        must(found == (stream, seq, head.hex()), record, f"says that it is {found}")
                        self.chained.add(record)
                    head, seq, digests = hashlib.sha256(head + digest).digest(), seq + 1, digests + 1
            seals.add(self.head(name, run, seq - 1, head.hex()))
        left = given - self.chained - seals
        must(not left, min(left, default=""), "no run in chain/ leads from it to a signed head")
        return f"{len(given)} records stand in the chain ({digests} digests, every hash computed)"

    def head(self, where: str, run: dict[str, Any], seq: int, head: str) -> str:
        """That somebody signed the hash of record `seq`; gives the name of the file that says so."""
        stream, by = run["stream"], run["signed"]
        if by is None:
            self.unsigned.append(f"{stream}, records {run['first']} to {seq}")
            return ""
        if "checkpoint" in by:
            name = f"checkpoints/{by['checkpoint']}.json"
            body = json.loads(self.read(name))
            plain = {member: value for member, value in body.items() if member != "signature"}
            self.signature(name, body, b"holdpoint checkpoint 1\n" + canonical(plain))
            says = body["streams"].get(stream, {})
            same = (says.get("id"), says.get("seq"), says.get("hash")) == (run["genesis"], seq, head)
            must(same, where, f"does not lead to the head of {stream} that {name} signs (record {says.get('seq')})")
        else:
            name = f"records/{stream}-{seq + 1}.json"
            seal = json.loads(self.read(name))
            must(seal["kind"] == "seal" and seal["prev"] == seal["body"]["head"] == head, where, f"not {name}'s head")
            text = f"holdpoint seal 1\n{stream}\n{run['genesis']}\n{seq + 1}\n{head}\n"
            self.signature(name, seal["body"], text.encode())
        return name

    def bodies(self) -> str:
        """Every body against the record that names it."""
        given, wanted = set(self.under("bodies/")), set()
        for name in self.chained:  # of a seal behind a run only the head is signed, and nothing else in it
            body = json.loads(self.read(name))["body"]
            wanted |= {lane.get("address") for lane in [body, *dict(body.get("bodies") or {}).values()]}
        here = {address for address in wanted if f"bodies/{address}.body" in given}
        for address in sorted(here):
            name, salt = f"bodies/{address}.body", f"bodies/{address}.salt"
            found = hashlib.sha256(bytes.fromhex(self.read(salt).decode()) + self.sha256(name)).hexdigest()
            must(found == address, name, f"is not the body that was recorded; its address would be {found}")
            given -= {name, salt}
        must(not given, min(given, default=""), "no record of the bundle names it")
        return f"{len(here)} bodies are what was recorded; {len(wanted - here - {None})} more are named and not here"

    def run(self) -> bool:
        """Check everything, and tell what was found."""
        try:
            for check in (self.files, self.records, self.bodies):
                tell("ok   " + check())
        except Exception as error:  # whatever is malformed is not evidence
            tell(f"FAIL {error if isinstance(error, Wrong) else f'malformed: {error!r}'}")
            return False
        for name in sorted(self.used):
            tell(f"ok   signed with key {name} " + ("(given)" if self.trusted else "(yours? give it with --key)"))
        if "manifest.sig" not in self.names:
            tell("note report.html and README.txt are not signed; rely on records/ and bodies/ alone")
        for run in self.unsigned or ([] if self.used else ["anything"]):
            tell(f"FAIL not signed: {run}")
        return bool(self.used) and not self.unsigned


def tell(text: str) -> None:
    """Print a line. Names in a bundle are anybody's: they must not draw on a terminal."""
    print("".join(c if " " <= c <= "~" else "?" for c in text))  # noqa: T201  # what it is for


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check an evidence bundle of Holdpoint.")
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--key", action="append", type=Path, default=[], help="a public key (PEM) from elsewhere")
    asked = parser.parse_args(argv)
    try:
        check = Check(asked.bundle, {key_of(path.read_bytes(), str(path))[0] for path in asked.key})
    except (OSError, zipfile.BadZipFile, ValueError, Wrong) as error:
        tell(f"nothing was checked: {error}")
        return 2
    good = check.run()
    tell("PASS" if good else "FAIL")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
