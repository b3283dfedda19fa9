"""A folder with everything that a configuration may name."""

import json
from pathlib import Path

import pytest

KEY_SET = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that configurations of a test stand in. Good files beside bad ones of each sort."""
    contents = {
        "keys.json": json.dumps(KEY_SET),
        "private.json": json.dumps({"keys": [KEY_SET["keys"][0] | {"d": "secret"}]}),
        "shared.json": json.dumps({"keys": [{"kty": "oct", "k": "secret"}]}),
        "none.json": '{"keys": []}',
        "text.json": "no keys here",
        "token": "t0ken",
        "newline": "t0ken\n",
        "space": "t0ken ",
        "empty": "",
        "lines": "t0ken\r\nX-Admin: yes",
        "nul": "t0\0ken",
        "del": "t0\x7fken",
        ".holdpoint/opa.token": "t0ken",
        ".holdpoint/ca.crt": "-----BEGIN CERTIFICATE-----\n",
        "open": "t0ken",
        "tls.crt": "-----BEGIN CERTIFICATE-----\n",
        "tls.key": "-----BEGIN PRIVATE KEY-----\n",
    }
    (tmp_path / ".holdpoint").mkdir(mode=0o700)
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "open").chmod(0o640)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / ".holdpoint" / "opa.token")
    return tmp_path
