"""The schema, the reference and the example agree with the code."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from extproc.config import Settings, SettingsError, parse
from extproc.config.reference import markdown, schema, schema_json, settings_yaml
from extproc.config.sections import Derived, ListOf, MapOf, Section, entries
from extproc.config.settings import root

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "holdpoint.yaml"


def example(home: Path) -> Settings:
    """The example, loaded with the files that it names."""
    for name, source in (("keys/issuer.json", "keys.json"), ("secrets/crm", "token"), ("secrets/openai", "token")):
        (home / name).parent.mkdir(exist_ok=True)
        shutil.copy(home / source, home / name)
    return parse(EXAMPLE.read_bytes(), home / "holdpoint.yaml")


@pytest.mark.parametrize(
    ("file", "generated", "verb"),
    [("configuration.md", markdown, "docs"), ("holdpoint.schema.json", schema_json, "schema")],
)
def test_generated_files_are_up_to_date(file: str, generated: Any, verb: str) -> None:
    """The checked-in file is what the code generates; to renew it: holdpoint config VERB > docs/FILE."""
    path = ROOT / "docs" / file
    assert path.read_text() == generated(), f"run: holdpoint config {verb} > docs/{file}"


def test_every_setting_is_documented() -> None:
    """Each setting has a sentence, an example, and its place in the reference."""
    text = markdown()
    for entry in entries(root()):
        assert entry.setting.doc.endswith("."), entry.path
        assert entry.setting.example is not None, entry.path
        assert f"# `{entry.path}`\n\n{entry.setting.doc}\n" in text


def test_every_default_and_example_fits_its_schema() -> None:
    """What the reference says of a setting, the schema allows."""
    for entry in entries(root()):
        shape = entry.setting.kind.schema()
        jsonschema.validate(entry.setting.example, shape)
        default = entry.setting.default
        if entry.setting.required or isinstance(default, Derived):
            continue
        assert (default is not None) or entry.setting.off, entry.path
        if default is not None:
            jsonschema.validate(default, shape)


def test_schema_is_a_schema_and_describes_everything() -> None:
    """The schema is valid draft 7, and every property in it has a description."""
    jsonschema.Draft7Validator.check_schema(schema())

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, below in node.get("properties", {}).items():
                assert below["description"], name
            for below in node.values():
                walk(below)
        elif isinstance(node, list):
            for below in node:
                walk(below)

    walk(schema())


def test_example_loads_and_fits_the_schema(home: Path) -> None:
    """The example is a configuration for the gateway and for an editor."""
    settings = example(home)
    assert [target.name for target in settings.targets] == ["crm", "openai"]
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema())
    first = EXAMPLE.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/holdpoint.schema.json"


def test_what_is_shown_reads_back(home: Path) -> None:
    """`config show` prints a configuration with the same meaning, which fits the schema too."""
    settings = example(home)
    text = settings_yaml(settings)
    assert parse(text.encode(), settings.file) == settings
    jsonschema.validate(yaml.safe_load(text), schema())


def test_every_notation_reads_back(home: Path) -> None:
    """Sections that the example leaves out survive the round trip as well."""
    text = """
version: 1
state: /v
listen: {address: "[::1]:443", tls: {certificate: tls.crt, key: tls.key}}
identity:
  agents: [{issuer: x, audience: a, jwks: "https://[::2]:8/keys", kind: human}]
targets:
  a: {upstream: "https://x:8443/v1", inspect: headers, wait: 1500ms, ca: tls.crt}
  b: {upstream: "http://x", inspect: 1000B, wait: 59m, credential: {file: token, prefix: "Token "}}
policy: {engine: "unix:///o.sock", token: token, path: folder}
audit: {otlp: null, sync: 1ms}
"""
    settings = parse(text.encode(), home / "c.yaml")
    assert parse(settings_yaml(settings).encode(), settings.file) == settings
    jsonschema.validate(yaml.safe_load(settings_yaml(settings)), schema())


def test_schema_and_reader_refuse_the_same_shapes(home: Path) -> None:
    """What is wrong for an editor is wrong for the gateway."""
    good = yaml.safe_load(EXAMPLE.read_text())
    example(home)
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"workers": 0},
        {"workers": "2"},
        {"state": 3},
        {"targets": {}},
        {"targets": {"CRM": {"upstream": "http://x"}}},
        {"targets": {"crm": {}}},
        {"targets": {"crm": {"upstream": "http://x", "wait": 30}}},
        {"targets": {"crm": {"upstream": "http://x", "wait": "1 day"}}},
        {"targets": {"crm": {"upstream": "ftp://x"}}},
        {"identity": {"agents": []}},
        {"unknown": 1},
        {"audit": {"sync": None}},
    ]
    for change in changes:
        document = good | change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema())
        with pytest.raises(SettingsError):
            parse(json.dumps(document).encode(), home / "holdpoint.yaml")


def test_every_kind_of_section_is_walked() -> None:
    """The reference reaches settings below sections, lists and mappings."""
    assert isinstance(root(), Section)
    kinds = {entry.path: type(entry.setting.kind) for entry in entries(root())}
    assert kinds["identity.agents"] is ListOf
    assert kinds["targets"] is MapOf
    assert {"identity.agents[].jwks", "targets.<name>.credential.file", "listen.tls.key"} <= set(kinds)
