"""Targets that are databases: what they come to, and every mistake that only they can have."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from extproc.config import Login, ServerTls, SettingsError, Url, advice, parse
from extproc.config.reference import schema, settings_yaml
from extproc.domain.target import Inspect, Protocol

HEAD = """\
version: 1
identity: {agents: [{issuer: "https://x", audience: a, jwks: keys.json}]}
"""
LISTEN = "listen: {postgres: 127.0.0.1:5433}\n"
LOGINS = "logins: [{user: reader, password: token}]"
WHOLE = """
targets:
  crm-db:
    protocol: postgres
    upstream: postgresql://DB.example.com/crm
    ca: tls.crt
    inspect: 256KiB
    databases: [reports, "*"]
    wait: 5m
    logins:
      - {user: analyst, certificate: tls.crt, key: tls.key, groups: [analysts, dba], role: app_reader}
      - {user: "the reader", password: token}
  local:
    protocol: postgres
    upstream: postgres://127.0.0.1:5440/other-one
    tls: off
    logins: [{user: reader, password: token}]
"""


def problems(home: Path, text: str) -> list[str]:
    """The lines of the error for this file, from the setting's name on."""
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), home / "c.yaml")
    return [problem.message.replace(str(home), "HOME") for problem in caught.value.problems]


def test_databases_are_read(home: Path) -> None:
    """Addresses, TLS and logins are what was written, with defaults of a database's own."""
    settings = parse((HEAD + LISTEN + WHOLE).encode(), home / "c.yaml")
    crm, local = settings.targets
    assert crm.upstream == Url("postgres", "db.example.com", 5432, "/crm")
    assert (crm.database, str(crm.upstream)) == ("crm", "postgres://db.example.com/crm")
    assert (crm.tls, crm.ca, local.tls, local.ca) == (ServerTls.VERIFY_FULL, home / "tls.crt", ServerTls.OFF, None)
    assert (crm.databases, local.databases) == (("reports", "*"), ())
    first, second = crm.logins
    assert first == Login(
        user="analyst",
        password=None,
        certificate=home / "tls.crt",
        key=home / "tls.key",
        groups=("analysts", "dba"),
        role="app_reader",
    )
    assert (second.user, second.password, second.groups, second.role) == ("the reader", home / "token", None, None)
    assert crm.secrets == (home / "tls.crt", home / "tls.key", home / "token")
    target = crm.target
    assert (target.protocol, target.inspect, target.inspect_bytes) == (Protocol.POSTGRES, Inspect.FULL, 256 << 10)
    assert (target.wait_seconds, target.revision) == (300.0, crm.revision)


def test_databases_read_back(home: Path) -> None:
    """What is written of them has the same meaning, and fits the schema."""
    settings = parse((HEAD + LISTEN + WHOLE).encode(), home / "c.yaml")
    text = settings_yaml(settings)
    assert parse(text.encode(), settings.file) == settings
    jsonschema.validate(yaml.safe_load(text), schema())


def test_authorities_of_the_system_are_the_default_for_tls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that proves its name is checked like an https upstream, and is refused where nothing could be."""
    one = f"targets: {{db: {{protocol: postgres, upstream: postgres://h/d, {LOGINS}}}}}"
    monkeypatch.setattr("extproc.config.files.system_authorities", lambda: home / "tls.crt")
    assert parse((HEAD + LISTEN + one).encode(), home / "c.yaml").targets[0].ca == home / "tls.crt"
    monkeypatch.setattr("extproc.config.files.system_authorities", lambda: None)
    assert problems(home, HEAD + LISTEN + one) == [
        "targets.db.ca: the system's certificate authorities were not found; name them in a PEM file"
    ]


NO_DATABASE = "write postgres://host:port/database"
UNWRITABLE = "is no name of a database that can be written here"
UNREAD = "is for http; of a database write a size, that of the longest statement with its values"
OURS = "name the service that agents are to reach"
SENT_TOO = "which would be sent too; write it with"
OWN_FOLDER = "the gateway's own folder (HOME/.holdpoint); keep yours outside of it"
MISTAKES = [
    ("upstream: 'http://h/d'", f'upstream: "http://h/d" is not the address of a database; {NO_DATABASE}'),
    ("upstream: h", f'upstream: "h" is not the address of a database; {NO_DATABASE}'),
    ("upstream: 'postgres://h'", f'upstream: "postgres://h" names no database; {NO_DATABASE}'),
    ("upstream: 'postgres://h/'", f'upstream: "postgres://h/" names no database; {NO_DATABASE}'),
    ("upstream: 'postgres://h/a/b'", f'upstream: "a/b" {UNWRITABLE}; {NO_DATABASE}'),
    ("upstream: 'postgres://me:pw@h/d'", "upstream: holds a user name or a password; leave them out of the address"),
    (
        "upstream: 'postgres://h/d?sslmode=disable'",
        'upstream: "postgres://h/d" goes on with a query or a fragment; leave it out',
    ),
    (
        "upstream: 'postgres://127.0.0.1:5433/d'",
        f"upstream: postgres://127.0.0.1:5433/d is Holdpoint's own listen.postgres; {OURS}",
    ),
    ("credential: token", "credential: is for http; what a database takes stands in its logins"),
    ("opaque: true", "opaque: is for http; a database's statements are always read"),
    ("inspect: stream", f"inspect: {UNREAD}"),
    ("inspect: headers", f"inspect: {UNREAD}"),
    ("tls: maybe", 'tls: "maybe" is not one of: verify-full, off'),
    ("tls: off, ca: tls.crt", "ca: is for checking the server's certificate, and tls is off; leave one of the two out"),
    ("logins: []", "logins: names nobody who could log in; write for example [{user: …, password: …}]"),
    ("logins: [{password: token}]", "logins[0].user: is missing; write for example user: reader"),
    (
        "logins: [{user: a}]",
        "logins[0]: has nothing to log in with; name the file of its password, or a certificate and its key",
    ),
    ("logins: [{user: a, certificate: tls.crt}]", "logins[0].certificate: goes with a key; name that too"),
    ("logins: [{user: a, key: tls.key, password: token}]", "logins[0].key: goes with a certificate; name that too"),
    (
        "tls: off, logins: [{user: a, certificate: tls.crt, key: tls.key}]",
        "logins[0].certificate: is shown in TLS only, and tls is off; leave one of the two out",
    ),
    (
        "logins: [{user: a, password: token}, {user: b, password: token, groups: [g]}]",
        "logins[1]: is never used: targets.db.logins[0] is before it, and for everybody; put that last",
    ),
    ("logins: [{user: a, password: token, groups: []}]", "logins[0].groups: is empty; it needs 1 or more"),
    (
        "logins: [{user: a, password: newline}]",
        f'logins[0].password: HOME/newline ends with a newline, {SENT_TOO}: printf %s "$SECRET" > HOME/newline',
    ),
    (
        "logins: [{user: a, password: .holdpoint/opa.token}]",
        f"logins[0].password: HOME/.holdpoint/opa.token is in {OWN_FOLDER}",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_database_with_one_mistake(home: Path, setting: str, message: str) -> None:
    """What makes no sense of a database is refused where it stands, in words that say what would."""
    upstream = "" if setting.startswith("upstream") else "upstream: postgres://h/d, "
    logins = "" if "logins" in setting else f", {LOGINS}"
    text = f"{HEAD}{LISTEN}targets: {{db: {{protocol: postgres, {upstream}{setting}{logins}}}}}"
    assert problems(home, text) == [f"targets.db.{message}"]


DATABASE_ONLY = [
    ("tls: verify-full", "tls: is for databases; leave it out, or write `protocol: postgres`"),
    ("databases: [reports]", "databases: is for databases; leave it out, or write `protocol: postgres`"),
    (LOGINS, "logins: is for databases; leave it out, or write `protocol: postgres`"),
    ("upstream: 'postgres://h/d'", "upstream: is the address of a database; write `protocol: postgres` too"),
]


@pytest.mark.parametrize(("setting", "message"), DATABASE_ONLY, ids=range(len(DATABASE_ONLY)))
def test_http_with_what_is_a_databases(home: Path, setting: str, message: str) -> None:
    """A setting of databases does not stand at another target, where it would seem to count."""
    upstream = "" if setting.startswith("upstream") else "upstream: http://h, "
    assert problems(home, f"{HEAD}targets: {{crm: {{{upstream}{setting}}}}}") == [f"targets.crm.{message}"]


def test_every_mistake_at_once(home: Path) -> None:
    """One mistake hides no other."""
    text = f"""{HEAD}listen: {{ops: 127.0.0.1:5433, postgres: 0.0.0.0:5433}}
targets:
  crm: {{upstream: "http://h", tls: off}}
  db: {{protocol: postgres, upstream: "http://h", opaque: true, credential: token}}
"""
    assert problems(home, text) == [
        "listen.postgres: 0.0.0.0:5433 is taken by listen.ops (127.0.0.1:5433); use another port",
        "targets.crm.tls: is for databases; leave it out, or write `protocol: postgres`",
        "targets.db.logins: names nobody who could log in; write for example [{user: …, password: …}]",
        f'targets.db.upstream: "http://h" is not the address of a database; {NO_DATABASE}',
        "targets.db.opaque: is for http; a database's statements are always read",
        "targets.db.credential: is for http; what a database takes stands in its logins",
    ]


def test_a_database_that_nobody_could_reach(home: Path) -> None:
    """A database is reached at its own listener, and is refused where there is none."""
    text = f"{HEAD}targets: {{db: {{protocol: postgres, upstream: postgres://h/d, {LOGINS}}}}}"
    assert problems(home, text) == ["targets.db.protocol: databases are reached at listen.postgres only; set that too"]


def test_what_is_allowed_and_unwise(home: Path) -> None:
    """Clear text to a database on another machine, and a listener that most can't log in at, are remarks."""
    text = f"""{HEAD}listen: {{postgres: 0.0.0.0:5432, ops: 127.0.0.1:1}}
targets:
  db: {{protocol: postgres, upstream: postgres://h/d, tls: off, {LOGINS}}}
  local: {{protocol: postgres, upstream: postgres://localhost:5440/d, tls: off, {LOGINS}}}
"""
    said = [line.partition(":")[0] for line in advice(parse(text.encode(), home / "c.yaml"))]
    assert said == ["listen.postgres", "identity.approvers", "targets.db.tls"]


def test_tls_that_a_server_here_seldom_has(home: Path) -> None:
    """Without `tls: off` its name has to be proved, which the system's authorities do for nobody on this machine."""
    text = f"""{HEAD}listen: {{postgres: 127.0.0.1:5432}}
targets:
  db: {{protocol: postgres, upstream: postgres://127.0.0.1:5440/d, {LOGINS}}}
  away: {{protocol: postgres, upstream: postgres://h/d, {LOGINS}}}
  plain: {{protocol: postgres, upstream: postgres://localhost:5440/d, tls: off, {LOGINS}}}
  own: {{protocol: postgres, upstream: postgres://localhost:5440/e, ca: tls.crt, {LOGINS}}}
"""
    (said,) = [line for line in advice(parse(text.encode(), home / "c.yaml")) if line.startswith("targets.")]
    assert said.startswith("targets.db.tls:")
    assert "`tls: off`" in said
