"""Every mistake is reported at its place, in words that say what would be right, and all at once."""

import os
from pathlib import Path

import pytest

from extproc.config import SettingsError, parse
from extproc.config.source import MAX_BYTES, MAX_DEPTH

UNPRINTABLE = "the value holds a line break or a character that does not print; no setting has one"
PLAIN_PATH = "is not a plain path; write one without empty, . or .. parts, such as /v1"
OURS = "name the service that agents are to reach"
SENT_TOO = "which would be sent too; write it with"
NO_PORT = "is not an address and a port; write both, such as 127.0.0.1:8080 or [::1]:8080"
AGENTS = 'identity: {agents: [{issuer: "https://x", audience: a, jwks: keys.json}]}'
HERE = "the settings here are"
TARGETS = 'targets: {crm: {upstream: "http://127.0.0.1:9001"}}'


def problems(home: Path, text: str | bytes) -> list[str]:
    """The lines of the error for this file, without the file's name; the folder shown as HOME."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(SettingsError) as caught:
        parse(data, home / "c.yaml")
    return [line.removeprefix(f"{home}/c.yaml").replace(str(home), "HOME") for line in str(caught.value).split("\n")]


WHOLE = [
    ("", [": empty; a configuration starts with `version: 1`"]),
    ("# nothing\n", [": empty; a configuration starts with `version: 1`"]),
    ("[]", [":1:1: expected a mapping, found a list"]),
    ("a: 'b", [":1:6: not YAML: while scanning a quoted scalar, found unexpected end of stream"]),
    ("a: b: c\n", [":1:5: not YAML: mapping values are not allowed here"]),
    (b"a: b\nc: d\xff", [":2:5: not UTF-8 text; save the file as UTF-8"]),
    ("a: b\nc: \x01", [":2:4: a control character, which YAML does not allow; remove it"]),
    ("%YAML " + "1" * 5000 + ".1\n---\na: b", [": not YAML: a number or an escape in it is out of range"]),
    ('a: "\\Uffffffff"', [": not YAML: a number or an escape in it is out of range"]),
    ("a: " + "[" * 500, [f":1:{4 + MAX_DEPTH}: nested deeper than {MAX_DEPTH} levels; a configuration needs fewer"]),
    (b" " * (MAX_BYTES + 1), [": larger than 256 KiB; is this the right file?"]),
]


@pytest.mark.parametrize(("text", "expected"), WHOLE, ids=range(len(WHOLE)))
def test_file_that_is_no_configuration(home: Path, text: str | bytes, expected: list[str]) -> None:
    """A file of which nothing can be made is one clear line."""
    assert problems(home, text) == expected


YAML = [
    ("workers: &a 2", [':1:10: the anchor "a" is not read here; remove it']),
    ("workers: *a", [':1:10: the alias "a" is not read here; write the value out']),
    ("<<: {workers: 2}", [":1:1: merge keys (<<) are not read here; write the settings out"]),
    ("workers: !!int 2", [":1:10: the tag \"tag:yaml.org,2002:int\" is not read here; remove it"]),
    (
        "workers: !!python/object/apply:os.system [id]",
        [":1:10: the tag \"tag:yaml.org,2002:python/object/apply:os.system\" is not read here; remove it"],
    ),
    ("workers: !%0a 2", [':1:10: the tag "!\\n" is not read here; remove it']),
    ("workers: 2\nworkers: 3", [':2:1: "workers" is written twice, first on line 1']),
    ("? [a]\n: b", [":1:3: a list or a mapping can't be the name of a setting"]),
    ('state: "a\\u202eb"', [f":1:8: {UNPRINTABLE}"]),
    ('state: "a\\ud800"', [f":1:8: {UNPRINTABLE}"]),
    ("workers: two", [':1:10: workers: expected a whole number from 1 to 64, found "two"']),
    ("workers: 0", [":1:10: workers: 0 is not a whole number from 1 to 64"]),
    ("workers: 65", [":1:10: workers: 65 is not a whole number from 1 to 64"]),
    ("workers: true", [':1:10: workers: expected a whole number from 1 to 64, found "true"']),
    ("workers: " + "9" * 5000, [f":1:10: workers: {'9' * 20} is not a whole number from 1 to 64"]),
    ("workers: [2]", [":1:10: workers: expected a whole number from 1 to 64, found a list"]),
    ("workers:", [":1:9: workers: has no value; write a whole number from 1 to 64"]),
    ("state: 7", [":1:8: state: expected a path, found the number 7"]),
    ("state: ''", [":1:8: state: is empty; write a path"]),
    ("worker: 2", [':1:1: there is no setting "worker"; did you mean "workers"?']),
    ("listen: {addres: 1}", [':1:10: listen: there is no setting "addres"; did you mean "address"?']),
    (
        "listen: {x: 1}",
        [f':1:10: listen: there is no setting "x"; {HERE}: address, envoy, ops, proxy, postgres, domain, tls, control'],
    ),
    ("listen: []", [":1:9: listen: expected a mapping, found a list"]),
    ("listen: {tls: {}}", [
        ":1:15: listen.tls.certificate: is missing; write for example certificate: tls/gateway.crt",
        ":1:15: listen.tls.key: is missing; write for example key: tls/gateway.key",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), YAML, ids=range(len(YAML)))
def test_shape(home: Path, text: str, expected: list[str]) -> None:
    """YAML's surprises are refused; wrong shapes, names and types are told with what would be right."""
    assert problems(home, f"{text}\nversion: 1\n{AGENTS}\n{TARGETS}") == expected


LISTEN = [
    ("envoy: theirs", '"theirs" is not one of: managed, own'),
    ("address: localhost:80", '"localhost" is not an IP address; write one, such as 127.0.0.1 or 0.0.0.0'),
    ("address: 127.0.0.1", f'"127.0.0.1" {NO_PORT}'),
    ("address: ::1:80", f'"::1:80" {NO_PORT}'),
    ("address: 127.0.0.1:0", '"0" is not a port; write a number from 1 to 65535'),
    ("address: 127.0.0.1:65536", '"65536" is not a port; write a number from 1 to 65535'),
    ("address: 80", "expected an IP address and a port, found the number 80"),
    ("ops: 0.0.0.0:8080", "0.0.0.0:8080 is taken by listen.address (127.0.0.1:8080); use another port"),
    ("domain: Gate.test", '"Gate.test" is not a host name in lower case, such as crm.example.com'),
    ("control: " + "s" * 200, "has {} bytes; a socket's path has 107 at most"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), LISTEN, ids=range(len(LISTEN)))
def test_listen(home: Path, setting: str, message: str) -> None:
    """Addresses are IP addresses with ports; the two listeners don't meet; a socket's path fits."""
    name, _, value = setting.partition(": ")
    text = f"version: 1\n{AGENTS}\n{TARGETS}\nlisten:\n  {setting}\n"
    length = len(os.fsencode(home / value))
    assert problems(home, text) == [f":5:{5 + len(name)}: listen.{name}: {message.format(length)}"]


TARGET = [
    ("upstream: ftp://x", '"ftp://x" is not an address; it starts with http:// or https://, such as http://127.0.0.1:9001'),
    ("upstream: crm", '"crm" is not an address; it starts with http:// or https://, such as http://127.0.0.1:9001'),
    ("upstream: 'http://'", '"http://" has no host that could be asked; write http://host:port'),
    ("upstream: 'http://a_b'", '"http://a_b" has no host that could be asked; write http://host:port'),
    ("upstream: 'http://a:b'", '"b" is not a port; write a number from 1 to 65535'),
    ("upstream: 'http://me:pw@a'", "holds a user name or a password; leave them out of the address"),
    ("upstream: 'http:/me:pw@a'", "holds a user name or a password; leave them out of the address"),
    ("upstream: 'http://a/?k=s'", '"http://a/" goes on with a query or a fragment; leave it out'),
    ("upstream: 'http://a/b/../c'", f'the path "/b/../c" {PLAIN_PATH}'),
    ("upstream: 'http://127.0.0.1:8080'", f"http://127.0.0.1:8080 is Holdpoint's own listen.address; {OURS}"),
    ("upstream: 'http://localhost:9464'", f"http://localhost:9464 is Holdpoint's own listen.ops; {OURS}"),
    ("upstream: 'http://a/b%2fc'", 'the path "/b%2fc" is not a plain path; write one of a-z, A-Z, 0-9, . _ ~ - and /'),
    ("wait: 0s", "0s is out of range; write 1s to 3540s"),
    ("wait: 30", "expected a duration from 1s to 3540s, found the number 30"),
    ("wait: 5 hours", '"5 hours" is not a duration; write a whole number and a unit (ms, s, m, h, d), such as 30s'),
    ("wait: 1h", "1h is out of range; write 1s to 3540s"),
    ("inspect: 1MB", '"1MB" is neither a size, such as 1MiB, nor one of: stream, headers'),
    ("inspect: 0B", "0B is out of range; write 1B to 64MiB, or stream for bodies of any size"),
    ("inspect: 65MiB", "65MiB is out of range; write 1B to 64MiB, or stream for bodies of any size"),
    ("protocol: htpp", '"htpp" is not one of: http, postgres; did you mean "http"?'),
    ("environment: Prod", '"Prod" is not 1 to 40 of the characters a-z, 0-9 and, inside, -'),
    ("ca: tls.crt", "is for checking an https address, and http://a is not one; leave it out, or use https"),
    ("ca: keys.json", "HOME/keys.json holds no certificate in PEM; it has a line -----BEGIN CERTIFICATE-----"),
    ("credential: s3cr3t", "there is no such file; this names the file that holds the secret, not the secret itself"),
    ("credential: folder", "HOME/folder is a folder; name a file"),
    ("credential: open", "HOME/open is open to other users (mode 0640); close it with: chmod 600 HOME/open"),
    ("credential: empty", 'HOME/empty is empty; write the secret into it: printf %s "$SECRET" > HOME/empty'),
    ("credential: newline", f'HOME/newline ends with a newline, {SENT_TOO}: printf %s "$SECRET" > HOME/newline'),
    ("credential: space", f'HOME/space ends with white space, {SENT_TOO}: printf %s "$SECRET" > HOME/space'),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), TARGET, ids=range(len(TARGET)))
def test_target(home: Path, setting: str, message: str) -> None:
    """A target's values, and the files that it names; what may be a secret is never repeated."""
    name = setting.partition(": ")[0]
    lines = ["upstream: 'http://a'", setting] if name != "upstream" else [setting]
    text = f"version: 1\n{AGENTS}\ntargets:\n  crm:\n" + "\n".join(f"    {line}" for line in lines)
    path = f"targets.crm.{name}" + (".file" if name == "credential" else "")
    assert problems(home, text) == [f":{4 + len(lines)}:{7 + len(name)}: {path}: {message}"]


NAMES = ["CRM", "a.b", "a_b", "-a", "a-", "a" * 41]


@pytest.mark.parametrize("name", NAMES)
def test_target_name(home: Path, name: str) -> None:
    """A name that would not do as a host's label or a path's segment is refused."""
    text = f'version: 1\n{AGENTS}\ntargets:\n  {name}: {{upstream: "http://a"}}\n'
    assert problems(home, text) == [f':4:3: targets: "{name}" is not 1 to 40 of the characters a-z, 0-9 and, inside, -']


IDENTITY = [
    ("jwks: missing.json", "there is no HOME/missing.json"),
    ("jwks: folder", "HOME/folder is a folder; name a file"),
    ("jwks: text.json", 'HOME/text.json is not JSON; a key set looks like {"keys": [...]}'),
    ("jwks: none.json", 'HOME/none.json is not a key set, or an empty one; it looks like {"keys": [...]}'),
    ("jwks: private.json", "HOME/private.json holds a key that can sign tokens; leave only public keys in it"),
    ("jwks: shared.json", "HOME/shared.json holds a key that can sign tokens; leave only public keys in it"),
    ("jwks: 'https://a/?b'", '"https://a/" goes on with a query or a fragment; leave it out'),
    ("kind: robot", '"robot" is not one of: agent, human, service'),
    ("kind: agnet", '"agnet" is not one of: agent, human, service; did you mean "agent"?'),
    ("audience: a b", '"a b" is not text without spaces'),
]


@pytest.mark.parametrize(("setting", "message"), IDENTITY, ids=range(len(IDENTITY)))
def test_issuer(home: Path, setting: str, message: str) -> None:
    """An issuer's values, and its key set: public keys only."""
    name = setting.partition(": ")[0]
    given = {"issuer": "issuer: https://x", "audience": "audience: a", "jwks": "jwks: keys.json"} | {name: setting}
    lines = [line for key, line in given.items() if key != name] + [setting]
    text = f"version: 1\n{TARGETS}\nidentity:\n  agents:\n    -\n" + "\n".join(f"      {line}" for line in lines)
    assert problems(home, text) == [f":{5 + len(lines)}:{9 + len(name)}: identity.agents[0].{name}: {message}"]


STORE = "endpoint: 'http://s3', access_key: token, secret_key: token, bucket"
ELSEWHERE = "who can change the journal can change it there too; name a place on another machine"
AUDIT = [
    ("segment: 1KiB", "segment: 1KiB is out of range; write 1MiB to 1GiB"),
    ("record: {bodies: all}", 'record.bodies: "all" is not one of: full, head, metadata'),
    (
        "record: {keep: 30d, keep_bodies: 60d}",
        "record.keep_bodies: bodies are kept for 60d and records for 30d; keep bodies no longer than records",
    ),
    ("witnesses: [{}]", "witnesses[0]: a witness is one of: file, webhook, objects; this one has none of them"),
    (
        "witnesses: [{file: w, webhook: 'http://w'}]",
        "witnesses[0]: a witness is one of: file, webhook, objects; this one has file and webhook",
    ),
    (
        "witnesses: [{file: .holdpoint/w}]",
        f"witnesses[0].file: HOME/.holdpoint/w is in the gateway's own folder (HOME/.holdpoint): {ELSEWHERE}",
    ),
    (f"objects: {{{STORE}: A_b}}", 'objects.bucket: "A_b" is not a bucket\'s name'),
    (
        f"objects: {{{STORE}: abc, ca: tls.crt}}",
        "objects.ca: is for checking an https address, and http://s3 is not one; leave it out, or use https",
    ),
]


@pytest.mark.parametrize(("setting", "message"), AUDIT, ids=range(len(AUDIT)))
def test_audit(home: Path, setting: str, message: str) -> None:
    """The settings of the trail, and what must hold between them."""
    (found,) = problems(home, f"version: 1\n{AGENTS}\n{TARGETS}\naudit: {{{setting}}}\n")
    assert f": audit.{message}" in found


def test_a_target_keeps_what_all_do_unless_it_says_otherwise(home: Path) -> None:
    """Each setting of `record` comes from audit.record by itself."""
    text = (
        f"version: 1\n{AGENTS}\ntargets: {{a: {{upstream: 'http://a', record: {{head: 1KiB, index: true}}}}}}\n"
        "audit: {record: {bodies: full, head: 2KiB, keep_bodies: 7d}}\n"
    )
    (target,) = parse(text.encode(), home / "c.yaml").targets
    record = target.record
    assert (record.bodies.value, record.head_bytes, record.index) == ("full", 1024, True)
    assert (record.keep_seconds, record.keep_bodies_seconds) == (365 * 86400, 7 * 86400)


AGENTS_TOO = (
    "the agents' audience too (identity.agents[0].audience), so an agent's token could approve; give approvers one of "
    "their own"
)
NO_KEY_SET = 'is not a key set, or an empty one; it looks like {"keys": [...]}'
ENGINE = "the policy engine (policy.engine); agents must not reach it"
SHORTER = "choose a folder whose path is 20 bytes shorter"
BETWEEN = [
    (
        "identity:\n  agents: [{issuer: x, audience: a, jwks: keys.json}]\n"
        "  approvers: [{issuer: y, audience: a, jwks: keys.json}]\n" + TARGETS,
        [f':4:37: identity.approvers[0].audience: "a" is {AGENTS_TOO}'],
    ),
    (
        "identity:\n  agents:\n  - {issuer: x, audience: a, jwks: keys.json}\n"
        "  - {issuer: x, audience: a, jwks: none.json}\n" + TARGETS,
        [":5:14: identity.agents[1].issuer: identity.agents[0] has the same issuer and audience; keep one of them",
         f":5:36: identity.agents[1].jwks: HOME/none.json {NO_KEY_SET}"],
    ),
    (
        f'{AGENTS}\ntargets:\n  a: {{upstream: "http://x"}}\n  b: {{upstream: "http://y", host: a.holdpoint.internal}}',
        [':5:35: targets.b.host: "a.holdpoint.internal" is the host of a too; each has one of its own'],
    ),
    (
        AGENTS + '\ntargets:\n  b: {upstream: "http://y", host: a.holdpoint.internal}\n  a: {upstream: "http://x"}',
        [':4:35: targets.b.host: "a.holdpoint.internal" is the host of a too; each has one of its own'],
    ),
    (
        f"{AGENTS}\n{TARGETS}\npolicy: {{token: token}}",
        [":4:17: policy.token: a managed engine makes its own token; leave this out"],
    ),
    (
        f'{AGENTS}\n{TARGETS}\npolicy: {{engine: "http://127.0.0.1:9001"}}',
        [f":3:27: targets.crm.upstream: http://127.0.0.1:9001 is {ENGINE}"],
    ),
    (f'{AGENTS}\n{TARGETS}\npolicy: {{engine: "http://a/v1"}}', [
        ':4:18: policy.engine: "http://a/v1" has a path; write http://a alone']),
    (f"{AGENTS}\n{TARGETS}\npolicy: {{engine: opa}}", [
        ':4:18: policy.engine: "opa" is not one of: managed, unix:///path, http://host:port']),
    (f"{AGENTS}\n{TARGETS}\nstate: /{'s' * 100}", [
        f":4:8: state: the path of a unix socket in it would have 127 bytes and 107 is the most; {SHORTER}"]),
    (f"{AGENTS}\n{TARGETS}\nlisten: {{envoy: own, proxy: '127.0.0.1:3128'}}", [
        (":4:29: listen.proxy: an Envoy of your own (listen.envoy: own) serves no forward proxy; "
        "leave one of the two out")]),
    ("identity:\n  agents: [{issuer: x, audience: a, jwks: keys.json}]\n"
     "  certificates: [{spiffe: example.org}]\n" + TARGETS, [
        (":4:17: identity.certificates: no client certificate is asked for; "
        "name its authorities in listen.tls.client_ca")]),
    (f"{AGENTS}\ntargets: {{}}", [":3:10: targets: is empty; it needs 1 or more"]),
    (f"identity: {{agents: []}}\n{TARGETS}", [":2:20: identity.agents: is empty; it needs 1 or more"]),
    (f"identity: {{agents: {{}}}}\n{TARGETS}", [
        ":2:20: identity.agents: expected a list, found a mapping; start each of its entries with `- `"]),
    (f"{AGENTS}\n{TARGETS}\n---\na: b", [":4:1: a second document starts here; a configuration is one document"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BETWEEN, ids=range(len(BETWEEN)))
def test_between_settings(home: Path, text: str, expected: list[str]) -> None:
    """What holds between settings is checked even where others are wrong."""
    assert problems(home, f"version: 1\n{text}") == expected


def test_every_mistake_at_once(home: Path) -> None:
    """One reading reports all of them, in the file's order."""
    text = """\
version: 2
workres: 4
targets:
  crm: {upstream: "http://x", wait: 1d, credential: newline}
  CRM: {upstrem: "http://y"}
audit: {sync: 1x, otlp: 5}
"""
    places = [line.split(": ")[:2] for line in problems(home, text)]
    assert places == [
        [":1:1", "identity"],
        [":1:10", "version"],
        [":2:1", 'there is no setting "workres"; did you mean "workers"?'],
        [":4:37", "targets.crm.wait"],
        [":4:53", "targets.crm.credential.file"],
        [":5:3", "targets"],
        [":5:8", "targets.CRM.upstream"],
        [":5:9", "targets.CRM"],
        [":6:15", "audit.sync"],
        [":6:25", "audit.otlp"],
    ]


def test_authorities_that_are_nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has none, https without `ca` is a mistake: nothing would prove the server's name."""
    monkeypatch.setattr("extproc.config.files.system_authorities", lambda: None)
    text = f'version: 1\n{AGENTS}\ntargets: {{crm: {{upstream: "https://x"}}}}'
    assert problems(home, text) == [
        ":3:16: targets.crm.ca: the system's certificate authorities were not found; name them in a PEM file"
    ]


HEADERS = [
    ("Host", '"Host" is a header that steers the request; a credential goes into another'),
    (
        "x-envoy-max-retries",
        '"x-envoy-max-retries" is a header that steers the request; a credential goes into another',
    ),
    ("a b", '"a b" is not the name of a header, such as Authorization or X-Api-Key'),
]


@pytest.mark.parametrize(("header", "message"), HEADERS, ids=[h[0] for h in HEADERS])
def test_header_of_a_credential(home: Path, header: str, message: str) -> None:
    """A credential can't be put where it would steer the request."""
    upstream = "upstream: 'http://a'"
    text = f"version: 1\n{AGENTS}\ntargets: {{crm: {{{upstream}, credential: {{file: token, header: {header}}}}}}}"
    assert problems(home, text) == [f":3:73: targets.crm.credential.header: {message}"]
