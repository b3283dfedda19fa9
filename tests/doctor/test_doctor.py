"""What the doctor sees: real sockets, files, processes and another user, on loopback."""

import base64
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from extproc.app.doctor import leaks, local, network
from extproc.app.doctor.examine import Look, examine
from extproc.app.doctor.finding import Finding, Severity, run
from extproc.app.doctor.plan import BadPlan, Endpoint, Place, Plan, machine, plan_of, read_plan
from extproc.cli import main
from extproc.cli.doctor import table
from tests.live.making import configuration, settings

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
SECRET = "sk-real-4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
def listening() -> Iterator[int]:
    """A TCP port on loopback that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def shut() -> Iterator[int]:
    """A TCP port on loopback that takes none: bound, and not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are closed to others."""
    with TemporaryDirectory(prefix="holdpoint-doctor-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@contextmanager
def unix(path: Path, mode: int = 0o600) -> Iterator[str]:
    """A unix socket that takes connections."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(mode)
        server.listen()
        yield str(path)


def as_user(uid: int, gid: int, work: Callable[[], list[Finding]]) -> list[tuple[str, bool, str]]:
    """What a child with this user and group alone finds: (check, open, what)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            rows = [(item.check, item.open, item.what) for item in work()]
            with os.fdopen(writer, "w") as out:
                json.dump(rows, out)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as text:
        rows = json.loads(text.read() or "[]")
    os.waitpid(child, 0)
    return [(check, is_open, what) for check, is_open, what in rows]


def opened(findings: list[Finding]) -> list[tuple[str, str]]:
    """Open ones, as (check, what)."""
    return [(item.check, item.what) for item in findings if item.open]


def look(plan: Plan | None, home: Path, environment: Mapping[str, str] | None = None, gateway: str = "") -> Look:
    """A look with nothing of this machine's own environment."""
    return Look(plan, gateway, environment or {}, home)


def test_ports_that_are_reached(listening: int, shut: int) -> None:
    """A target, an admin port and the metadata service are open where TCP connects, whatever speaks there."""
    end = Endpoint("crm", "127.0.0.1", listening)
    for probe in (network.target, network.admin):
        (found,) = probe(end)
        assert (found.open, found.severity) == (True, Severity.HIGH)
        assert f"127.0.0.1:{listening}" in found.what
        (found,) = probe(replace(end, port=shut))
        assert not found.open
    (found,) = network.metadata("127.0.0.1", listening)
    assert found.check == "metadata"
    assert found.open
    (found,) = network.metadata("127.0.0.1", shut)
    assert not found.open


def test_each_address_of_a_name_is_tried(listening: int) -> None:
    """A name may lead to several addresses, and one that answers is a way."""
    (found,) = network.target(Endpoint("crm", "localhost", listening))
    assert found.open
    assert "127.0.0.1, TCP" in found.what


def test_tls_is_told_from_tcp(tmp_path: Path) -> None:
    """A server that ends the handshake was reached all the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answered() -> list[Finding]:
            return list(network.target(Endpoint("crm", "127.0.0.1", port, tls=True)))

        def hang_up() -> list[Finding]:
            server.accept()[0].close()
            return []

        (found,) = run([("target", answered), ("server", hang_up)])
    assert found.open
    assert "TCP, then no TLS" in found.what


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://127.0.0.1:{gateway}"}, []),
        ({"https_proxy": "http://user:pw@127.0.0.1:{other}"}, ["https_proxy leads to 127.0.0.1:{other}, which is not"]),
        ({"HTTPS_PROXY": "http://127.0.0.1:{shut}"}, []),
        ({"ALL_PROXY": "http://[::"}, ["ALL_PROXY leads to a place that can not be read"]),
        ({"NO_PROXY": "localhost, crm.test"}, ["NO_PROXY leaves out targets (crm.test)"]),
        ({"no_proxy": ".test"}, ["NO_PROXY leaves out targets (.test)"]),
        ({"no_proxy": "*"}, ["NO_PROXY leaves out targets (*)"]),
        ({"no_proxy": "10.0.0.0/8,other.test"}, []),
    ],
)
def test_proxy_variables(variables: dict[str, str], expected: list[str], listening: int, shut: int) -> None:
    """They may lead to the gateway or nowhere, and leave no target out."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"gateway": listening, "other": other.getsockname()[1], "shut": shut}
        plan = Plan(gateway=f"http://127.0.0.1:{listening}", targets=(Endpoint("crm", "api.crm.test", 443),))
        plan = replace(plan, targets=(*plan.targets, Endpoint("crm", "crm.test", 443)))
        environment = {name: value.format(**ports) for name, value in variables.items()}
        found = [item for item in network.proxies(plan, "", environment) if item.open]
    assert [item.what[: len(e.format(**ports))] for item, e in zip(found, expected, strict=True)] == [
        e.format(**ports) for e in expected
    ]
    assert not any("pw" in item.what for item in found)


def test_sockets_and_files_of_this_user(tmp_path: Path) -> None:
    """What this user may use is open; what is not there is closed."""
    with unix(tmp_path / "control.sock") as path:
        (found,) = local.admin_socket(Place("the control socket", path))
        assert found.open
        (found,) = local.container_runtime(path)
        assert found.open
    (found,) = local.admin_socket(Place("the control socket", path))
    assert not found.open, "nobody listens there any more"
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    for place in (tmp_path, secret):
        (found,) = local.file(Place("it", str(place)))
        assert found.open
        assert SECRET not in str(found)
    for place in (tmp_path / "none", Path("x\0y"), Path("x" * 5000)):
        (found,) = run([("it", lambda place=place: local.file(Place("it", str(place))))])  # type: ignore[misc]
        assert not found.open or found.check == "unknown"


@needs_root
def test_as_another_user(common: Path) -> None:
    """A user of its own, outside the group, can use and read nothing; in the group, the socket is open."""
    private, secret = common / "state", common / "secret"
    private.mkdir(mode=0o700)
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with unix(common / "c.sock", 0o660) as path:
        os.chown(path, 0, 4242)
        plan = Plan(
            machine(),
            uid=0,
            control_group=4242,
            sockets=(Place("control", path),),
            files=(Place("state", str(private)), Place("secret", str(secret))),
        )
        alone = as_user(NOBODY, NOBODY, lambda: examine(look(plan, common)))
        member = as_user(NOBODY, 4242, lambda: examine(look(plan, common)))
    ours = {"socket", "file", "user", "group", "process", "unknown"}
    assert alone, "the child had something to say"
    assert [row for row in alone if row[0] in ours and row[1]] == []
    assert sorted(row[0] for row in member if row[0] in ours and row[1]) == ["group", "socket"]
    assert {row[0] for row in alone if not row[1]} >= {"socket", "file", "user", "process"}


@needs_root
def test_root_on_the_gateways_machine(tmp_path: Path) -> None:
    """Root is the gateway's user and everyone else; processes of others are open books to it."""
    plan = Plan(machine(), uid=NOBODY)
    with ExitStack() as stack:
        other = subprocess.Popen(
            ["/bin/cat"],
            stdin=subprocess.PIPE,
            user=NOBODY,
            env={"KEY": SECRET},
        )
        stack.enter_context(other)
        found = opened([*local.same_user(plan), *local.processes(plan)])
        if other.stdin is not None:
            other.stdin.close()
    assert [check for check, _ in found] == ["user", "process"]
    assert SECRET not in str(found)
    assert opened(list(local.same_user(replace(plan, machine="another")))) == []


def test_processes_of_the_gateway_under_the_same_user(tmp_path: Path) -> None:
    """Where the agent is the gateway's user, the gateway's processes are told from its own."""
    for pid, words in {"11": b"/opt/x/envoy\0-c\0", "12": b"bash\0"}.items():
        folder = tmp_path / pid
        folder.mkdir()
        for name, content in {"cmdline": words, "environ": b"A=b", "comm": words.split(b"\0")[0]}.items():
            (folder / name).write_bytes(content)
    (tmp_path / "self").mkdir()
    (found,) = local.processes(Plan(machine(), uid=os.geteuid()), tmp_path)
    assert found.what.endswith("can be read: /opt/x/envoy (11)")


def _token(issuer: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"iss": issuer}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFZERTQSJ9.{claims}.c2ln"


@pytest.mark.parametrize(
    ("name", "value", "leak"),
    [
        ("OPENAI_API_KEY", SECRET, True),
        ("OPENAI_API_KEY", _token("urn:holdpoint:holdpoint.internal"), False),
        ("OPENAI_API_KEY", "Bearer " + _token("https://login.test"), False),
        ("OPENAI_API_KEY", _token("https://elsewhere.test"), True),
        ("OPENAI_API_KEY", "unused", False),
        ("AWS_SECRET_ACCESS_KEY", SECRET, True),
        ("AZURE_CLIENT_SECRET", SECRET, True),
        ("GITHUB_TOKEN", SECRET, True),
        ("PGPASSWORD", SECRET, True),
        ("DATABASE_URL", f"postgresql://me:{SECRET}@db/x", True),
        ("DATABASE_URL", "postgresql://me@db/x", False),
        ("TOKENIZERS_PARALLELISM", "on", False),
        ("HTTPS_PROXY", "http://proxy.test:3128", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/home/x/key.json", False),
    ],
)
def test_variables_with_secrets(name: str, value: str, leak: bool) -> None:
    """Real credentials are told from the gateway's tokens, by name and never by what they say."""
    plan = Plan(issuers=("https://login.test",))
    found = list(leaks.variables(plan, "", {name: value}))
    assert [item.open for item in found] == [leak]
    assert SECRET not in str(found)
    if leak:
        assert found[0].what == f"variable {name}"


@pytest.mark.parametrize(
    ("path", "content", "leak"),
    [
        (".aws/credentials", "[default]", True),
        (".aws/sso/cache/x.json", "{}", True),
        (".azure/msal_token_cache.json", "{}", True),
        (".config/gcloud/application_default_credentials.json", "{}", True),
        (".pgpass", "h:5432:d:u:p", True),
        (".pgpass", "", False),
        (".git-credentials", "https://u:p@git.test", True),
        (".kube/config", "clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n", True),
        (".kube/config", "- cluster:\n    server: http://kube.holdpoint.internal:8080\n", False),
        (".kube/config", "- cluster:\n    server: http://gw.test/kube\n", False),
        (".netrc", "machine api.test login x password y", True),
        (".netrc", "machine gw.test login x password y", False),
        (".docker/config.json", '{"auths": {"r.test": {"auth": "eDp5"}}}', True),
        (".docker/config.json", '{"auths": {}}', False),
        (".npmrc", "//r.test/:_authToken=abc", True),
        (".npmrc", "//r.test/:_authToken=${NPM}", False),
        (".ssh/deploy", "-----BEGIN OPENSSH PRIVATE KEY-----\nx", True),
        (".ssh/known_hosts", "h ssh-ed25519 AAAA", False),
    ],
)
def test_files_with_credentials(path: str, content: str, leak: bool, tmp_path: Path) -> None:
    """Credentials in their usual places, unless they are for the gateway."""
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    found = list(leaks.files(Plan(domain="holdpoint.internal"), "http://gw.test:8080", {}, tmp_path))
    named = [item for item in found if str(tmp_path) in item.what]
    assert bool(named) is leak
    assert all(item.open for item in named)


def test_an_ssh_agent(tmp_path: Path) -> None:
    """One that takes connections signs for the agent."""
    with unix(tmp_path / "agent.sock") as path:
        assert opened(list(leaks.ssh_agent({"SSH_AUTH_SOCK": path}))) != []
    assert opened(list(leaks.ssh_agent({"SSH_AUTH_SOCK": path}))) == []
    assert opened(list(leaks.ssh_agent({}))) == []


def test_what_was_not_seen_is_not_closed() -> None:
    """A probe that hangs or fails is open, and keeps nobody waiting."""
    reader, writer = os.pipe()

    def hangs() -> list[Finding]:
        os.read(reader, 1)
        return []

    def fails() -> list[Finding]:
        raise RuntimeError(SECRET)

    found = run([("one", hangs), ("two", fails)], patience=0.05)
    os.write(writer, b"x")
    assert [item.what for item in found] == [
        "one: could not be looked at (it took too long)",
        "two: could not be looked at (RuntimeError)",
    ]
    assert all(item.counts for item in found)


def test_a_plan_of_a_gateway(tmp_path: Path) -> None:
    """It names what agents must not reach, holds no secret, and reads back as it was."""
    target = 'crm: {upstream: "https://crm.test/api", credential: token}'
    (tmp_path / "state").mkdir()
    plan = plan_of(settings(tmp_path, target, more="state: state"))
    assert plan.targets == (Endpoint("crm", "crm.test", 443, True),)
    assert [end.port for end in plan.admin] == [9464, 4318, 16686]
    assert plan.uid == os.geteuid()
    assert plan.here
    assert {Path(place.path).name for place in plan.files} == {"state", "holdpoint.yaml", "token"}
    assert {Path(place.path).name for place in plan.sockets} == {
        "control.sock", "opa.sock", "envoy-admin.sock", "worker-0.sock", "worker-1.sock",
    }  # fmt: skip
    text = plan.document()
    assert "s3cret-token" not in text
    assert read_plan(text) == plan


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 2}', '{"version": 1, "targets": [{"what": "x"}]}', '{"version": 1, "targets": 1}',
     '{"version": 1, "targets": [{"what": "x", "host": "h", "port": "http"}]}',
     '{"version": 1, "files": [{"what": "x", "path": 1}]}'],
)  # fmt: skip
def test_a_damaged_plan_is_refused(text: str) -> None:
    """A plan that can't be read examines nothing, and says so."""
    with pytest.raises(BadPlan):
        read_plan(text)


def test_the_command(
    tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the plan to the table: exit codes, JSON, and no secret in any of it."""
    config = configuration(tmp_path, f'crm: {{upstream: "http://127.0.0.1:{listening}", credential: token}}')
    assert main(["doctor", "--plan", "-c", str(config)]) == 0
    plan = tmp_path / "plan.json"
    plan.write_text(capsys.readouterr().out)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ACME_API_KEY", SECRET)
    asked = ["doctor", "--from-agent", "--plan", str(plan), "--cloud", f"127.0.0.1:{listening}"]
    assert main(asked) == 1
    text = capsys.readouterr().out
    assert text.startswith(f"HIGH    target crm: 127.0.0.1:{listening} is reached directly (127.0.0.1, TCP)\n  why   ")
    assert "variable ACME_API_KEY" in text
    assert "the cloud's metadata" in text
    assert SECRET not in text
    assert max(map(len, text.splitlines())) <= 100
    assert main([*asked, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {"direct", "admin", "file", "metadata", "secret", "ipv6"} <= {item["check"] for item in document}
    assert all(item["why"] and item["fix"] for item in document if item["open"])
    assert SECRET not in str(document)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say --plan"),
        (["--plan", "x"], "with --from-agent only"),
        (["--from-agent", "--plan"], "--plan needs a file"),
        (["--from-agent", "--plan", "/nowhere"], "/nowhere: No such file"),
        (["--from-agent", "--gateway", "http://"], "--gateway is no address"),
        (["--from-agent", "--cloud", ":"], "--cloud is no address"),
    ],
)
def test_wrong_use(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is said, and nothing is examined."""
    assert main(["doctor", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_nothing_open_is_one_line() -> None:
    """A host in order has a short report."""
    assert table([Finding("x", Severity.NOTE, False, "fine")], 100) == "nothing open, 1 checked"
