"""The targets' folder: its files are read like the configuration's own targets, and their mistakes have their place."""

from pathlib import Path

import pytest
import yaml

from extproc.config import Settings, SettingsError, load, parse
from extproc.config.reference import settings_yaml

HEAD = 'version: 1\nidentity: {agents: [{issuer: "https://x", audience: a, jwks: keys.json}]}\n'
CRM = 'targets: {crm: {upstream: "http://127.0.0.1:9001"}}\n'


def made(home: Path, text: str, **files: str) -> Path:
    """A configuration, and these files (name without its end: content) in its folder of targets."""
    (home / "targets.d").mkdir()
    for name, content in files.items():
        (home / "targets.d" / f"{name}.yaml").write_text(content)
    (home / "c.yaml").write_text(text)
    return home / "c.yaml"


def problems(home: Path, file: Path, **options: object) -> list[str]:
    """The lines of the error, the folder left out."""
    with pytest.raises(SettingsError) as caught:
        load(file, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{home}/", "").split("\n")


def test_targets_of_the_folder_belong_to_the_configuration(home: Path) -> None:
    """In the order of the files' names, after the configuration's own; what is no *.yaml is nobody's."""
    two = 'b1: {upstream: "http://b"}\nb2: {upstream: "http://b", credential: token}'
    file = made(home, HEAD + CRM, b=two, a='a: {upstream: "http://a"}')
    (home / "targets.d" / ".hidden.yaml").write_text("[")
    (home / "targets.d" / "README").write_text("[")
    settings = load(file)
    assert [t.name for t in settings.targets] == ["crm", "a", "b1", "b2"]
    assert [str(t.place) for t in settings.targets] == [
        f"{file}:3", f"{home}/targets.d/a.yaml:1", f"{home}/targets.d/b.yaml:1", f"{home}/targets.d/b.yaml:2",
    ]  # fmt: skip
    credential = settings.targets[3].credential
    assert credential is not None
    assert credential.file == home / "token"


def test_what_is_shown_reads_back_without_the_folder(home: Path) -> None:
    """`config show` writes the folder's targets out, and so names no folder."""
    settings = load(made(home, HEAD, a='a: {upstream: "http://a"}'))
    text = settings_yaml(settings)
    assert yaml.safe_load(text)["targets_folder"] is None
    assert parse(text.encode(), settings.file).targets == settings.targets


def test_a_folder_of_another_name_or_none(home: Path) -> None:
    """The setting names it; null means that there is none, and a missing one is an empty one."""
    file = made(home, HEAD + CRM, a="[")
    (home / "other").mkdir()
    (home / "other" / "x.yaml").write_text('x: {upstream: "http://x"}')

    def names(setting: str) -> list[str]:
        file.write_text(HEAD + CRM + setting)
        return [t.name for t in load(file).targets]

    assert names("targets_folder: other") == ["crm", "x"]
    assert names("targets_folder: null") == ["crm"]
    assert names("targets_folder: missing") == ["crm"]


MISTAKES = [
    (CRM, {"a": 'a: {upstream: "ftp://a"}'}, ['targets.d/a.yaml:1:15: targets.a.upstream: "ftp://a" is not an']),
    (CRM, {"a": "a: 'b"}, ["targets.d/a.yaml:1:6: not YAML"]),
    (CRM, {"a": ""}, ["targets.d/a.yaml: empty; it holds targets"]),
    (CRM, {"a": "- a"}, ["targets.d/a.yaml:1:1: expected a mapping of names to targets"]),
    (CRM, {"a": "a: &x {upstream: 'http://a'}"}, ['targets.d/a.yaml:1:4: the anchor "x" is not read here']),
    (CRM, {"a": "A: {upstream: 'http://a'}"}, ['targets.d/a.yaml:1:1: targets: "A" is not 1 to 40 of the characters']),
    (CRM, {"a": "\ncrm: {upstream: 'http://a'}"}, ['targets.d/a.yaml:2:1: the target "crm" is in c.yaml:3 too']),
    (
        CRM,
        {"a": "x: {upstream: 'http://a'}", "b": "x: {upstream: 'http://b'}"},
        ['targets.d/b.yaml:1:1: the target "x" is in targets.d/a.yaml:1 too; keep one of them'],
    ),
    (
        CRM,
        {"a": "x: {upstream: 'http://127.0.0.1:8080'}"},
        ["targets.d/a.yaml:1:15: targets.x.upstream: http://127.0.0.1:8080 is Holdpoint's own listen.address"],
    ),
    ("workers: no\n", {"a": "x: {upstrem: 'http://a'}"}, [
        'c.yaml:3:10: workers: expected',
        "targets.d/a.yaml:1:4: targets.x.upstream: is missing",
        'targets.d/a.yaml:1:5: targets.x: there is no setting "upstrem"',
    ]),
    ("", {}, ["c.yaml:1:1: targets: is missing"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "files", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_have_their_place(home: Path, text: str, files: dict[str, str], expected: list[str]) -> None:
    """File, line and column, and those of the configuration come first."""
    found = problems(home, made(home, HEAD + text, **files))
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


def test_a_file_by_its_other_usual_name_is_a_mistake(home: Path) -> None:
    """It would be passed over, and nobody would know why."""
    file = made(home, HEAD + CRM)
    (home / "targets.d" / "a.yml").write_text("")
    assert problems(home, file) == ["targets.d/a.yml: is not read; name it a.yaml"]


def test_files_can_be_tried_before_they_are_written(home: Path) -> None:
    """With their content as it is to be, also where there is no folder yet, and without those that are to go."""
    file = made(home, HEAD + CRM, a='a: {upstream: "http://a"}')
    path, new = home / "targets.d" / "a.yaml", home / "targets.d" / "n.yaml"

    def names(settings: Settings) -> list[str]:
        return [t.name for t in settings.targets]

    assert names(load(file, replaced={new: b'n: {upstream: "http://n"}'})) == ["crm", "a", "n"]
    assert names(load(file, replaced={path: None})) == ["crm"]
    assert problems(home, file, replaced={new: b"crm: {}"})[0].startswith('targets.d/n.yaml:1:1: the target "crm" is')


BETWEEN = [
    ("listen: {proxy: 127.0.0.1:9464}", "listen.proxy: 127.0.0.1:9464 is taken by listen.ops (127.0.0.1:9464)"),
    ("listen: {proxy: 0.0.0.0:8080}", "listen.proxy: 0.0.0.0:8080 is taken by listen.address (127.0.0.1:8080)"),
    ("listen: {proxy: 127.0.0.1:9001}", "targets.crm.upstream: http://127.0.0.1:9001 is Holdpoint's own listen.proxy"),
    ("limits: {bytes: 1MiB}", "1MiB is more than one worker's share of limits.bytes; set that to 2MiB"),
    ("limits: {requests: 0}", "limits.requests: 0 is not a whole number from 1 to 10000"),
    ("limits: {bytes: 1KiB}", "limits.bytes: 1KiB is out of range; write 1MiB to 16GiB"),
    ("dns: {servers: [ns1.test]}", 'dns.servers[0]: "ns1.test" is not an address and a port'),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "expected"), BETWEEN, ids=range(len(BETWEEN)))
def test_new_settings(home: Path, setting: str, expected: str) -> None:
    """What they may be, and what has to hold between them."""
    (line,) = problems(home, made(home, HEAD + CRM + setting))
    assert expected in line


TUNNELS = [
    ("opaque: true", "opaque: a tunnel is reached through the forward proxy only; set listen.proxy too"),
    ("opaque: true, credential: token", "credential: nothing can be added to what nobody reads"),
    ("opaque: true, upstream: 'https://a/b'", "upstream: a tunnel has no path; write https://a alone"),
    ("opaque: yes", 'opaque: expected true or false, found "yes"'),
    ("networks: [10.0.0.1]", 'networks[0]: "10.0.0.1" is not a network; write its first address'),
    ("networks: [10.0.0.1/8]", 'networks[0]: "10.0.0.1/8" is not a network'),
    ("protocol: tunnel", 'protocol: "tunnel" is not one of: http, postgres'),
]


@pytest.mark.parametrize(("setting", "expected"), TUNNELS, ids=range(len(TUNNELS)))
def test_tunnels_and_networks(home: Path, setting: str, expected: str) -> None:
    """A tunnel has nothing that only a reader could add; a network is one exactly."""
    proxy = "" if "proxy" in expected else "listen: {proxy: 127.0.0.1:8081}\n"
    upstream = "" if "upstream" in setting else "upstream: 'https://a', "
    (line,) = problems(home, made(home, f"{HEAD}{proxy}targets: {{t: {{{upstream}{setting}}}}}"))
    assert f"targets.t.{expected}" in line
