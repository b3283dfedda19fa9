"""deploy/tools/fetch: each way of getting a tool, and each way that way can fail.

The script runs as a process of its own. `go` and the tools are small shell scripts on a PATH of the test's making, so
that a build can fail, block or be counted at will; downloads come from a server on this machine.
"""

import hashlib
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "deploy" / "tools"
PROGRAM = b"#!/bin/sh\necho 'Version: 1.22.0'\n"
NOWHERE = "http://127.0.0.1:1"  # tcpmux: nothing listens there
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
OPA_ASSET = f"/open-policy-agent/opa/releases/download/v1.22.0/opa_linux_{MACHINE}_static"
JAEGER_RELEASE = "/jaegertracing/jaeger/releases/download/v1.76.0"
JAEGER_FILE = f"jaeger-2.13.0-linux-{MACHINE}.tar.gz"

# What the stub does when asked to build: `$out` is the path after -o.
WRITES_THE_PROGRAM = """printf "#!/bin/sh\\necho 'Version: 1.22.0'\\n" > "$out"; /bin/chmod 755 "$out" """


@dataclass
class Bench:
    """A directory with a PATH, a cache and a copy of deploy/tools, all of the test's own."""

    root: Path
    releases: str = NOWHERE

    @property
    def cache(self) -> Path:
        """Where the script is told to keep what it gets."""
        return self.root / "cache"

    def script(self, name: str, body: str) -> Path:
        """Put an executable shell script on the test's PATH."""
        place = self.root / "bin" / name
        place.write_text(f"#!/bin/sh\n{body}\n")
        place.chmod(0o755)
        return place

    def go(self, building: str, *, version: str = "go1.26.8", toolchain: str = "local") -> None:
        """Put a `go` on PATH that answers `go env` and builds by running `building`."""
        self.script(
            "go",
            f"""case "$1 $2" in
                "env GOVERSION") echo {version};;
                "env GOTOOLCHAIN") echo {toolchain};;
                *) while [ "$1" != -o ]; do shift; done; out=$2; {building};;
            esac""",
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the script and return the process, with pipes."""
        environment = {
            "PATH": str(self.root / "bin"),
            "HOME": str(self.root),
            "HOLDPOINT_CACHE": str(self.cache),
            "HOLDPOINT_RELEASES": self.releases,
        }
        return subprocess.Popen(
            [sys.executable, str(self.root / "tools" / "fetch"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the script to its end; returns exit status, standard output and standard error."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def leftovers(self) -> list[Path]:
        """Return what a stopped or failed run must not leave in the cache."""
        return [place for place in self.cache.rglob("*") if place.is_file() and place.name != ".lock"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh Bench with an empty PATH."""
    (tmp_path / "bin").mkdir()
    for tool in ("opa", "jaeger"):
        (tmp_path / "tools" / tool).mkdir(parents=True)
        shutil.copy(TOOLS / tool / "go.mod", tmp_path / "tools" / tool)
    for tool in ("keycloak", "pgjdbc", "postgres"):
        (tmp_path / "tools" / tool).mkdir()
    shutil.copy(TOOLS / "fetch", tmp_path / "tools")
    return Bench(tmp_path)


@pytest.fixture
def site() -> Iterator[dict[str, bytes]]:
    """Pages served on this machine: path to body. The address is under the key "address"."""
    pages: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(urlsplit(self.path).path)
            self.send_response(404 if body is None else 200)
            claimed = len(body or b"") + len(pages.get("cut short", b""))
            self.send_header("Content-Length", str(claimed))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages["address"] = f"http://127.0.0.1:{server.server_port}".encode()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield pages
        server.shutdown()
        thread.join()


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def publish_opa(site: dict[str, bytes], program: bytes = PROGRAM, digest: str | None = None) -> None:
    """Publish an OPA release the way its project does: the program, and its sum in a file beside it."""
    name = OPA_ASSET.rsplit("/", 1)[1]
    site[OPA_ASSET] = program
    site[f"{OPA_ASSET}.sha256"] = f"{digest or sha256(program)}  {name}\n".encode()


def publish_jaeger(site: dict[str, bytes], *, symlink: bool = False) -> None:
    """Publish a Jaeger release the way its project does: a tar.gz, and one listing of all sums."""
    member = tarfile.TarInfo(f"jaeger-2.13.0-linux-{MACHINE}/jaeger")
    member.size = len(PROGRAM)
    if symlink:
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as files:
        files.addfile(member, io.BytesIO(PROGRAM))
    site[f"{JAEGER_RELEASE}/{JAEGER_FILE}"] = archive.getvalue()
    listing = f"{'0' * 64} *another.zip\n{sha256(archive.getvalue())} *{JAEGER_FILE}\n"
    site[f"{JAEGER_RELEASE}/jaeger-2.13.0.sha256sum.txt"] = listing.encode()


@pytest.mark.parametrize("version", ["1.22.0", "1.22.1", "1.30.0"])
def test_takes_what_is_on_path(bench: Bench, version: str) -> None:
    """A program on PATH at the pinned version or a later one of the same major is used as it is."""
    place = bench.script("opa", f"echo 'Version: {version}'; echo 'Go Version: go1.26.8'")
    assert bench.run("opa") == (0, f"{place}\n", "")


def test_understands_how_jaeger_tells_its_version(bench: Bench) -> None:
    """Jaeger tells its version as JSON."""
    place = bench.script("jaeger", """echo '{"gitCommit":"9f1","gitVersion":"v2.14.1","buildDate":""}'""")
    assert bench.run("jaeger") == (0, f"{place}\n", "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'Version: 1.21.9'", "is 1.21.9, and 1.22.0 or a later 1.x is needed"),
        ("echo 'Version: 2.0.0'", "is 2.0.0, and 1.22.0 or a later 1.x is needed"),
        ("echo hello", "is of an unknown version"),
        ("exit 3", "does not tell its version"),
    ],
)
def test_refuses_another_program_on_path(bench: Bench, body: str, reason: str) -> None:
    """A program on PATH that is too old, of another major or mute is passed over, and the reason given."""
    bench.script("opa", body)
    status, output, errors = bench.run("opa")
    assert (status, output) == (1, "")
    assert reason in errors


def test_builds_once_and_then_uses_the_cache(bench: Bench) -> None:
    """A build lands in the cache whole; the second run does not need Go."""
    bench.go(WRITES_THE_PROGRAM)
    status, output, errors = bench.run("opa")
    place = Path(output.strip())
    assert (status, place) == (0, bench.cache / "opa" / "1.22.0" / "opa")
    assert place.read_bytes() == PROGRAM
    assert "Built opa 1.22.0" in errors
    (bench.root / "bin" / "go").unlink()
    assert bench.run("opa") == (0, f"{place}\n", "")
    assert bench.leftovers() == [place]


def test_nothing_works(bench: Bench) -> None:
    """With no Go and no network there is one line, which says what was tried and what to do."""
    status, output, errors = bench.run("opa")
    assert (status, output) == (1, "")
    assert errors.count("\n") - errors.count("Downloading") == 1
    assert "no opa on PATH; not in the cache" in errors
    assert "Go is not installed; could not download http://127.0.0.1:1/" in errors
    assert "Install Go, or put opa 1.22.0 on PATH, and run this again." in errors
    assert bench.leftovers() == []


@pytest.mark.parametrize(
    ("version", "toolchain", "cure"),
    [
        (
            "go1.24.1",
            "local",
            "Go 1.24.1 is too old to build opa, which needs 1.26.0: install a newer one or set GOTOOL",
        ),
        ("go1.19.8", "auto", "Go 1.19.8 is too old to build opa, which needs 1.26.0: install a newer one;"),
        ("devel", "auto", "did not give a version"),
    ],
)
def test_go_is_too_old(bench: Bench, version: str, toolchain: str, cure: str) -> None:
    """A Go that can neither build the module nor fetch a newer toolchain is named, with the way out."""
    bench.go(WRITES_THE_PROGRAM, version=version, toolchain=toolchain)
    status, _, errors = bench.run("opa")
    assert status == 1
    assert cure in errors


def test_an_older_go_that_fetches_its_toolchain_builds(bench: Bench) -> None:
    """With GOTOOLCHAIN=auto an older Go becomes the one that go.mod names."""
    bench.go(WRITES_THE_PROGRAM, version="go1.21.0", toolchain="auto")
    assert bench.run("opa")[0] == 0


def test_downloads_when_the_build_fails(bench: Bench, site: dict[str, bytes]) -> None:
    """After a failed build the release is taken, and what was trusted is said plainly."""
    bench.go("echo 'pkg: cannot compile' >&2; echo half > \"$out\"; exit 1")
    publish_opa(site)
    bench.releases = site["address"].decode()
    status, output, errors = bench.run("opa")
    assert status == 0
    assert Path(output.strip()).read_bytes() == PROGRAM
    assert f"trusted: the sum that {bench.releases} publishes beside it; nothing in this repository pins" in errors
    assert sha256(PROGRAM) in errors


def test_a_failed_build_gives_its_reason(bench: Bench) -> None:
    """Go's last words reach the person, and the half-written program does not reach the cache."""
    bench.go("echo 'pkg: cannot compile' >&2; echo half > \"$out\"; exit 1")
    status, output, errors = bench.run("opa")
    assert (status, output) == (1, "")
    assert "the Go build failed: pkg: cannot compile" in errors
    assert bench.leftovers() == []


def test_a_pinned_sum_beats_the_published_one(bench: Bench, site: dict[str, bytes]) -> None:
    """A release whose own sum fits is refused when the repository pins another."""
    publish_opa(site)
    bench.releases = site["address"].decode()
    (bench.root / "tools" / "opa" / "SHA256SUMS").write_text(f"{'a' * 64}  {OPA_ASSET.rsplit('/', 1)[1]}\n")
    status, output, errors = bench.run("opa")
    assert (status, output) == (1, "")
    assert f"the sum pinned in deploy/tools/opa/SHA256SUMS is {'a' * 64}: not used" in errors
    assert bench.leftovers() == []


def test_a_wrong_sum_is_refused(bench: Bench, site: dict[str, bytes]) -> None:
    """Bytes that are not the published ones are not installed."""
    publish_opa(site, digest="b" * 64)
    bench.releases = site["address"].decode()
    status, output, errors = bench.run("opa")
    assert (status, output) == (1, "")
    assert f"has SHA-256 {sha256(PROGRAM)}" in errors
    assert bench.leftovers() == []


def test_a_broken_download_is_refused(bench: Bench, site: dict[str, bytes]) -> None:
    """A download that ends early is not mistaken for the file."""
    publish_opa(site)
    site["cut short"] = b"these bytes never come"
    bench.releases = site["address"].decode()
    status, _, errors = bench.run("opa")
    assert status == 1
    assert "broke off at" in errors


def test_a_release_without_a_sum_is_refused(bench: Bench, site: dict[str, bytes]) -> None:
    """No sum, no download."""
    site[OPA_ASSET], site[f"{OPA_ASSET}.sha256"] = PROGRAM, b"nothing of use\n"
    bench.releases = site["address"].decode()
    status, _, errors = bench.run("opa")
    assert status == 1
    assert "has no sum for" in errors


def test_an_unprotected_mirror_needs_a_pinned_sum(bench: Bench) -> None:
    """Over plain http from elsewhere a published sum proves nothing, so nothing is asked for."""
    bench.releases = "http://mirror.invalid"
    status, _, errors = bench.run("opa")
    assert status == 1
    assert "is neither https nor local" in errors


def test_prefers_the_release_when_told(bench: Bench, site: dict[str, bytes]) -> None:
    """With --prefer-release a working Go is not used."""
    bench.go("exit 1")
    publish_jaeger(site)
    bench.releases = site["address"].decode()
    status, output, errors = bench.run("--prefer-release", "jaeger")
    assert (status, Path(output.strip())) == (0, bench.cache / "jaeger" / "2.13.0" / "jaeger")
    assert Path(output.strip()).read_bytes() == PROGRAM
    assert "Building" not in errors


def test_builds_when_the_preferred_release_is_out_of_reach(bench: Bench) -> None:
    """A Jaeger that had to be built says that it has no web pages."""
    bench.go(WRITES_THE_PROGRAM)
    status, _, errors = bench.run("--prefer-release", "jaeger")
    assert status == 0
    assert "has no web pages" in errors


def test_an_archive_with_a_link_is_refused(bench: Bench, site: dict[str, bytes]) -> None:
    """A link where the program should be leads nowhere."""
    publish_jaeger(site, symlink=True)
    bench.releases = site["address"].decode()
    status, _, errors = bench.run("--prefer-release", "jaeger")
    assert status == 1
    assert "the archive" in errors
    assert bench.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_leaves_nothing(bench: Bench, number: signal.Signals) -> None:
    """Ctrl-C stops the compiler too and leaves the cache as it was."""
    ready = bench.root / "ready"
    os.mkfifo(ready)
    bench.go(f'echo half > "$out"; echo $$ > {ready}; exec /bin/sleep 600')
    process = bench.start("opa")
    compiler = int(ready.read_text())
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert "nothing half-built is left" in errors
    assert bench.leftovers() == []
    with pytest.raises(ProcessLookupError):
        os.kill(compiler, 0)


def test_what_a_killed_run_left_is_swept_up(bench: Bench) -> None:
    """After a kill -9 the next run removes the remains."""
    remains = bench.cache / "opa" / ".partial-killed"
    remains.mkdir(parents=True)
    (remains / "opa").write_text("half")
    bench.go(WRITES_THE_PROGRAM)
    assert bench.run("opa")[0] == 0
    assert not remains.exists()


def test_two_runs_at_once_build_once(bench: Bench) -> None:
    """The second run waits for the first and takes what it made."""
    ready, release, builds = bench.root / "ready", bench.root / "release", bench.root / "builds"
    os.mkfifo(ready)
    os.mkfifo(release)
    bench.go(f"echo x >> {builds}; echo > {ready}; read _ < {release}; {WRITES_THE_PROGRAM}")
    first = bench.start("opa")
    ready.read_text()
    second = bench.start("opa")
    assert second.stderr is not None
    assert second.stderr.readline() == "Another run is getting opa; waiting for it.\n"
    release.write_text("go on\n")
    outputs = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert outputs == {f"{bench.cache / 'opa' / '1.22.0' / 'opa'}\n"}
    assert builds.read_text() == "x\n"


KEYCLOAK_FILE = "keycloak-quarkus-dist-26.7.3.tar.gz"


def stock_keycloak(bench: Bench, *, prepare: str = 'echo prepared > "${0%/*}/done"', pin: str | None = None) -> None:
    """Put a `mvn` on PATH that has Keycloak's archive: one script, which prepares itself by running `prepare`."""
    script = f"#!/bin/sh\n{prepare}\n".encode()
    member = tarfile.TarInfo("keycloak-26.7.3/bin/kc.sh")
    member.size, member.mode = len(script), 0o755
    archive = bench.root / "archive"
    with tarfile.open(archive, mode="w:gz") as files:
        files.addfile(member, io.BytesIO(script))
    sums = bench.root / "tools" / "keycloak" / "SHA256SUMS"
    sums.write_text(f"{pin or sha256(archive.read_bytes())}  {KEYCLOAK_FILE}\n")
    bench.script("java", "exit 0")
    bench.script("mvn", f'for word; do :; done; /bin/cp {archive} "${{word#-DoutputDirectory=}}/{KEYCLOAK_FILE}"')


def test_understands_how_keycloak_tells_its_version(bench: Bench) -> None:
    """Keycloak tells its version after its name, and then Java's."""
    place = bench.script(
        "keycloak", "[ $1 = --version ] && echo 'Keycloak 26.7.4'; echo 'JVM: 21.0.1 (version 21.0.1)'"
    )
    assert bench.run("keycloak") == (0, f"{place}\n", "")


def test_keycloak_comes_from_maven_once(bench: Bench) -> None:
    """The archive is checked, unpacked and prepared, and lands in the cache whole; the second run needs no Maven."""
    stock_keycloak(bench)
    status, output, errors = bench.run("keycloak")
    folder = bench.cache / "keycloak" / "26.7.3"
    assert (status, output) == (0, f"{folder}/bin/kc.sh\n"), errors
    assert sorted(bench.leftovers()) == [folder / "bin" / "done", folder / "bin" / "kc.sh"]
    (bench.root / "bin" / "mvn").unlink()
    assert bench.run("keycloak") == (0, output, "")


@pytest.mark.parametrize(
    ("pin", "prepare", "mvn", "reason"),
    [
        ("a" * 64, "exit 0", None, f"SHA256SUMS pins {'a' * 64}: not used"),
        (None, "echo 'too old a Java' >&2; exit 2", None, "could not prepare itself: too old a Java"),
        (None, "exit 0", "echo '[ERROR] out of reach'; exit 1", "Maven failed: [ERROR] out of reach"),
        (None, "exit 0", "exit 0", f"Maven's {KEYCLOAK_FILE} can't be used"),
        (None, "exit 0", "", "mvn is not installed. Install Maven and Java 17 or later"),
    ],
)
def test_a_keycloak_that_is_not_right_is_not_kept(
    bench: Bench, pin: str | None, prepare: str, mvn: str | None, reason: str
) -> None:
    """Other bytes than the pinned ones, and each step that fails: a reason, and nothing in the cache."""
    stock_keycloak(bench, pin=pin, prepare=prepare)
    if mvn:
        bench.script("mvn", mvn)
    elif mvn == "":
        (bench.root / "bin" / "mvn").unlink()
    status, output, errors = bench.run("keycloak")
    assert (status, output) == (1, "")
    assert reason in errors
    assert bench.leftovers() == []


POSTGRES_FILE = "embedded-postgres-binaries-linux-{}-18.6.0.jar"
DRIVER_FILE = "postgresql-42.7.14.jar"


# What PostgreSQL's jar and the archive in it call this machine.
IMAGE, EMBEDDED = ("arm64v8", "arm_64") if MACHINE == "arm64" else ("amd64", "x86_64")


def stock_postgres(bench: Bench, *, inner: str = f"postgres-linux-{EMBEDDED}.txz") -> None:
    """Put a `mvn` on PATH that has PostgreSQL's jar for this machine: one script in an archive of this name."""
    script = b"#!/bin/sh\nexit 0\n"
    member = tarfile.TarInfo("bin/postgres")
    member.size, member.mode = len(script), 0o755
    archive, jar = io.BytesIO(), bench.root / "jar"
    with tarfile.open(fileobj=archive, mode="w:xz") as files:
        files.addfile(member, io.BytesIO(script))
    with zipfile.ZipFile(jar, "w") as members:
        members.writestr(inner, archive.getvalue())
    name = POSTGRES_FILE.format(IMAGE)
    (bench.root / "tools" / "postgres" / "SHA256SUMS").write_text(f"{sha256(jar.read_bytes())}  {name}\n")
    bench.script("java", "exit 0")
    asked = f'case " $* " in *" -Dimage={IMAGE} "*) ;; *) exit 1;; esac'
    bench.script("mvn", f'{asked}; for word; do :; done; /bin/cp {jar} "${{word#-DoutputDirectory=}}/{name}"')


def test_postgres_comes_out_of_a_jar(bench: Bench) -> None:
    """The archive in the jar of this machine's kind is unpacked and tried; it lands in the cache whole."""
    stock_postgres(bench)
    status, output, errors = bench.run("postgres")
    folder = bench.cache / "postgres" / "18.6"
    assert (status, output) == (0, f"{folder}/bin/postgres\n"), errors
    assert bench.leftovers() == [folder / "bin" / "postgres"]


def test_an_older_postgres_on_the_path_is_not_taken(bench: Bench) -> None:
    """Debian's is what the newer one is for comparing with."""
    stock_postgres(bench)
    bench.script("postgres", "echo 'postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)'")
    assert bench.run("postgres")[1] == f"{bench.cache}/postgres/18.6/bin/postgres\n"
    place = bench.script("postgres", "echo 'postgres (PostgreSQL) 18.7'")
    assert bench.run("postgres") == (0, f"{place}\n", "")


def test_a_jar_without_the_archive_is_not_kept(bench: Bench) -> None:
    """A jar that is as pinned and holds something else."""
    stock_postgres(bench, inner="postgres-plan9.txz")
    status, output, errors = bench.run("postgres")
    assert (status, output, bench.leftovers()) == (1, "", [])
    assert "can't be used" in errors


def test_the_driver_is_kept_as_it_is(bench: Bench) -> None:
    """A jar that is no archive of ours is checked, and is what is wanted."""
    jar = bench.root / "jar"
    jar.write_bytes(b"classes")
    (bench.root / "tools" / "pgjdbc" / "SHA256SUMS").write_text(f"{sha256(b'classes')}  {DRIVER_FILE}\n")
    bench.script("java", "exit 0")
    bench.script("mvn", f'for word; do :; done; /bin/cp {jar} "${{word#-DoutputDirectory=}}/{DRIVER_FILE}"')
    status, output, errors = bench.run("pgjdbc")
    assert (status, output) == (0, f"{bench.cache}/pgjdbc/42.7.14/{DRIVER_FILE}\n"), errors
    assert Path(output.strip()).read_bytes() == b"classes"


@pytest.mark.parametrize(
    ("tool", "version", "files"),
    [
        ("keycloak", "26.7.3", [KEYCLOAK_FILE]),
        ("postgres", "18.6.0", [POSTGRES_FILE.format("amd64"), POSTGRES_FILE.format("arm64v8")]),
        ("pgjdbc", "42.7.14", [DRIVER_FILE]),
    ],
)
def test_the_project_names_what_the_script_expects(tool: str, version: str, files: list[str]) -> None:
    """The version that Maven gets is the version that is looked for, and its sums are pinned."""
    assert f"<version>{version}</version>" in (TOOLS / tool / "pom.xml").read_text()
    assert files == re.findall(r"^[0-9a-f]{64}  (\S+)$", (TOOLS / tool / "SHA256SUMS").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("tool", "pin"), [("opa", "open-policy-agent/opa v1.22.0"), ("jaeger", "jaegertracing/jaeger v1.76.0")]
)
def test_the_modules_pin_what_the_script_names(tool: str, pin: str) -> None:
    """The version that is built is the version that is downloaded."""
    assert pin in (TOOLS / tool / "go.mod").read_text()
    assert f"github.com/{pin} h1:" in (TOOLS / tool / "go.sum").read_text()
