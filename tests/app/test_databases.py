"""Databases of the configuration in force: which one is meant, where it is, who logs in, and what serves them."""

import asyncio
import ssl
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import PostgresPlan
from extproc.app import programs
from extproc.app.databases import LiveDatabases
from extproc.app.door import write_addresses
from extproc.app.fingerprints import Credentials, collect, path_of
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.plan import envoy_plan
from extproc.app.snapshot import active, publish, snapshot
from extproc.app.stages import stages
from extproc.app.target_credentials import check_credential
from extproc.config import Settings
from extproc.console.callers import MACHINE
from extproc.console.targets import TargetRefused
from extproc.domain.principal import Kind, Principal
from extproc.masking.engine.fingerprint import load
from extproc.server.terminator.databases import Database, Login
from tests.live.making import CRM, settings
from tests.support.envoy_tls import self_signed

LISTEN = "listen: {postgres: 127.0.0.1:5433}"
LOGINS = "logins: [{user: dba, password: password, groups: [dba], role: owner}, {user: reader, password: token}]"
DB = f"crm-db: {{protocol: postgres, upstream: postgres://localhost:5440/crm, tls: off, host: db.test, {LOGINS}}}"
AGENT = Principal("https://agents.test", "a", Kind.AGENT, ("dev",))
DBA = Principal("https://agents.test", "b", Kind.HUMAN, ("dev", "dba"))


def databases(home: Path, *targets: str, more: str = LISTEN) -> Settings:
    """Settings with these targets, and what they name."""
    (home / "password").write_text("the-password-of-the-dba")
    (home / "password").chmod(0o600)
    given = settings(home, *(targets or (CRM, DB)), more=more)
    given.state.mkdir(mode=0o700, exist_ok=True)
    return given


def test_which_database_is_meant(tmp_path: Path) -> None:
    """By its name, or by one of its hosts as the server name of TLS; no target of another protocol is one."""
    given = databases(tmp_path)
    path = active(Layout(given.state))
    publish(snapshot(given), path)
    found = LiveDatabases(Live(path))
    database = found.named("crm-db")
    assert database is not None
    assert (database.host, database.port, database.name, database.verified) == ("localhost", 5440, "crm", False)
    assert database.target == given.targets[1].target
    assert found.at("db.test") == found.at("crm-db.holdpoint.internal") == database
    assert found.named("crm") is found.at("crm.holdpoint.internal") is found.named("") is None


@pytest.mark.parametrize(
    ("others", "asked", "has"),
    [
        ("[]", "crm", True), ("[]", "postgres", False), ("[]", "", False), ("[bank]", "bank", True),
        ("[bank]", "crm", True), ("[bank]", "Bank", False), ("[bank]", "*", False), ('["*"]', "bank", True),
    ],
)  # fmt: skip
def test_which_databases_of_a_server_may_be_asked_for(tmp_path: Path, others: str, asked: str, has: bool) -> None:
    """Its own and those that it names, letter by letter."""
    given = databases(tmp_path, DB.replace("tls: off", f"tls: off, databases: {others}"))
    path = active(Layout(given.state))
    publish(snapshot(given), path)
    found = LiveDatabases(Live(path)).named("crm-db")
    assert found is not None
    assert found.has(asked) is has


def test_databases_follow_the_configuration(tmp_path: Path) -> None:
    """One that comes while the gateway runs is there at once, one that changed is another, one that went is gone."""
    first = databases(tmp_path)
    path = active(Layout(first.state))
    publish(snapshot(first), path)
    live = Live(path)
    found = LiveDatabases(live)
    before = found.named("crm-db")

    def change(*targets: str) -> None:
        publish(snapshot(databases(tmp_path, *targets)), path)
        asyncio.run(live.look())

    change(CRM, DB.replace("/crm,", "/other,"), DB.replace("crm-db", "second").replace("host: db.test, ", ""))
    after, second = found.named("crm-db"), found.named("second")
    assert before is not None
    assert after is not None
    assert second is not None
    assert (before.name, after.name, second.name) == ("crm", "other", "crm")
    assert before.target.revision != after.target.revision
    change(CRM)
    assert (found.named("crm-db"), found.named("second"), found.at("db.test")) == (None, None, None)


def test_where_its_server_is(tmp_path: Path) -> None:
    """An address is what it is; what a name stands for was checked and written down, or it leads nowhere."""
    literal = DB.replace("localhost", "10.0.0.7").replace("crm-db", "literal").replace("host: db.test, ", "")
    given = databases(tmp_path, DB, literal)
    layout = Layout(given.state)
    publish(snapshot(given), active(layout))
    found = LiveDatabases(Live(active(layout)))
    named, address = found.named("crm-db"), found.named("literal")
    assert named is not None
    assert address is not None
    assert found.addresses(address) == (("10.0.0.7", 5440),)
    assert found.addresses(named) == ()
    write_addresses(layout.envoy, given.targets[0], ["127.0.0.1", "127.0.0.2"])
    assert found.addresses(named) == (("127.0.0.1", 5440), ("127.0.0.2", 5440))
    write_addresses(layout.envoy, given.targets[0], [])
    assert found.addresses(named) == ()
    (layout.envoy / "eds" / f"{given.targets[0].key}.json").write_text('{"resources": [[]]}')
    with pytest.raises(ValueError, match="not a document of addresses"):
        found.addresses(named)


def test_who_logs_in_for_whom(tmp_path: Path) -> None:
    """The first login that is for somebody is used, with the password that its file has now; none is nobody's."""
    given = databases(tmp_path)
    path = active(Layout(given.state))
    publish(snapshot(given), path)
    database = LiveDatabases(Live(path)).named("crm-db")
    assert database is not None
    for_agents, for_dbas = database.login(AGENT), database.login(DBA)
    assert for_agents is not None
    assert for_dbas is not None
    assert (for_agents.user, for_agents.role, for_agents.secret()) == ("reader", None, b"s3cret-token")
    assert (for_dbas.user, for_dbas.role, for_dbas.secret()) == ("dba", "owner", b"the-password-of-the-dba")
    (tmp_path / "password").write_text("another")
    assert for_dbas.secret() == b"another"
    only = Database(database.target, "h", 1, "d", False, None, (for_dbas,))
    assert only.login(AGENT) is None
    assert Login("cert").secret() is None


def test_what_a_connection_is_encrypted_with(tmp_path: Path) -> None:
    """The server has to prove its name; the certificate of the login goes along; without TLS there is none."""
    certificate, key = self_signed(tmp_path, "db.test")
    target = databases(tmp_path).targets[1].target
    login = Login("reader", certificate=Path(certificate), key=Path(key))
    plain = Database(target, "db.test", 5432, "crm", False, None, (login,))
    assert plain.tls(login) is None
    context = Database(target, "db.test", 5432, "crm", True, Path(certificate), (login,)).tls(login)
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(OSError, match="No such file"):
        Database(target, "db.test", 5432, "crm", True, tmp_path / "none", ()).tls(Login("a"))


def test_what_envoy_is_told(tmp_path: Path) -> None:
    """A listener, and nothing of a database but where its addresses are written down: it has no route."""
    literal = DB.replace("localhost", "10.0.0.7").replace("crm-db", "literal").replace("host: db.test, ", "")
    given = databases(tmp_path, CRM, DB, literal)
    plan = envoy_plan(given)
    assert plan.postgres == PostgresPlan("127.0.0.1", 5433)
    assert [target.name for target in plan.targets] == ["crm"]
    assert plan.dialled == (given.targets[1].key,)
    assert envoy_plan(settings(tmp_path)).postgres is None


def test_passwords_are_known_again_like_credentials(tmp_path: Path) -> None:
    """Each password is looked for in what comes back; one too short to be is told of; a new one counts at once."""
    given = databases(tmp_path)
    key = bytes(32)
    both, one = (load(collect(s, key).document) for s in (given, databases(tmp_path, CRM)))
    assert len(both.items) > len(one.items)
    (tmp_path / "password").write_text("ab")
    (short,) = collect(given, key).problems
    assert short.startswith("targets.crm-db.logins[0].password: a secret of less than")
    (tmp_path / "password").unlink()
    assert collect(given, key).problems == (
        f"targets.crm-db.logins[0].password: {tmp_path}/password: No such file or directory",
    )


def test_a_replaced_password_is_published(tmp_path: Path) -> None:
    """As a replaced credential is."""
    given = databases(tmp_path)
    layout = Layout(given.state)
    layout.prepare()
    keeper = Credentials(given, layout)
    keeper.look()
    before = path_of(layout).read_bytes()
    (tmp_path / "fresh").write_text("another-password-altogether")
    (tmp_path / "fresh").replace(tmp_path / "password")
    keeper.look()
    assert path_of(layout).read_bytes() != before


def test_whose_passwords_an_administrator_may_have_sent(tmp_path: Path) -> None:
    """By a token: those below `secrets`, and those that a target of the same server has already. All of them count."""
    now = databases(tmp_path)
    (tmp_path / "secrets").mkdir()
    for name in ("secrets/fresh", "elsewhere"):
        (tmp_path / name).write_text("a-password")
        (tmp_path / name).chmod(0o600)
    by = Principal("https://people.test", "p", Kind.HUMAN, credential="jwt:1")
    allowed = databases(tmp_path, DB.replace("password: token", "password: secrets/fresh")).targets[0]
    check_credential(allowed, now, by)
    wanted = databases(tmp_path, DB.replace("password: token", "password: elsewhere")).targets[0]
    with pytest.raises(TargetRefused, match="logins: by a token you may name files below"):
        check_credential(wanted, now, by)
    elsewhere = databases(tmp_path, DB.replace("localhost:5440", "other.test:5440")).targets[0]
    with pytest.raises(TargetRefused):
        check_credential(elsewhere, now, by)
    check_credential(wanted, now, Principal("x", "root", Kind.HUMAN, credential=MACHINE))


def test_which_programs_run(tmp_path: Path) -> None:
    """Workers of databases run where databases can be reached, before there is one, and stop together with the door."""
    without = databases(tmp_path, CRM, more="")
    assert programs.following(without) == ("worker-0", "worker-1", "control", "archivist")
    given = databases(tmp_path, CRM)
    assert programs.following(given) == ("worker-0", "worker-1", "postgres-0", "postgres-1", "control", "archivist")
    layout = Layout(given.state)
    layout.prepare()
    first, last = [[program.name for program in stage] for stage in stages(given, layout)]
    assert "postgres-0" not in first
    assert last == ["postgres-0", "postgres-1", "envoy"]
