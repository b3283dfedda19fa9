"""Files that a configuration may not name, or whose content could not be sent; and who else can write it."""

from pathlib import Path

import pytest

from extproc.config import SettingsError, load, parse

HEAD = "version: 1\nidentity: {agents: [{issuer: 'https://x', audience: a, jwks: %s}]}\n"
TARGET = "targets: {crm: {upstream: 'https://crm.test', %s}}\n"
OWN = "is in the gateway's own folder (HOME/.holdpoint); keep yours outside of it"
BREAK = "holds a line break or a control character, which no header can carry"


def told(home: Path, text: str) -> str:
    """What is said of this configuration; nothing where it is good."""
    try:
        parse(text.encode(), home / "c.yaml")
    except SettingsError as error:
        return str(error).replace(str(home), "HOME")
    return ""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("credential: token", ""),
        ("credential: lines", f"HOME/lines {BREAK}"),
        ("credential: nul", f"HOME/nul {BREAK}"),
        ("credential: del", f"HOME/del {BREAK}"),
        ("credential: .holdpoint/opa.token", f"targets.crm.credential.file: HOME/.holdpoint/opa.token {OWN}"),
        ("credential: {file: folder/../.holdpoint/opa.token}", f".holdpoint/opa.token {OWN}"),
        ("credential: link", f"HOME/link {OWN}"),
        ("ca: .holdpoint/ca.crt", f"targets.crm.ca: HOME/.holdpoint/ca.crt {OWN}"),
        ("ca: tls.crt", ""),
    ],
)
def test_what_is_sent_to_a_target(home: Path, setting: str, expected: str) -> None:
    """A secret that a header can carry, and never one of the gateway's own, by whatever way it is named."""
    found = told(home, HEAD % "keys.json" + TARGET % setting)
    assert expected in found
    assert bool(expected) is bool(found)
    assert "t0" not in found


@pytest.mark.parametrize(
    ("jwks", "good"),
    [
        ("https://idp.test/keys", True),
        ("http://127.0.0.1:1/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://idp.test/keys", False),
        ("http://10.0.0.1/keys", False),
    ],
)
def test_keys_come_by_a_way_on_which_nobody_replaces_them(home: Path, jwks: str, good: bool) -> None:
    """As is asked of issuers that are discovered."""
    found = told(home, HEAD % f'"{jwks}"' + TARGET % "credential: token")
    expected = f'agents[0].jwks: "{jwks}" can be replaced on the way; write an https address, or one on this machine'
    assert found == "" if good else expected in found


@pytest.mark.parametrize("name", ["c.yaml", "targets.d"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_others_do_not_write_it(home: Path, name: str, mode: int) -> None:
    """Who can write a configuration can have any secret sent anywhere. Commands that look at no file do not mind."""
    (home / "targets.d").mkdir(mode=0o755)
    (home / "c.yaml").write_text(HEAD % "keys.json" + TARGET % "credential: token")
    load(home / "c.yaml")
    changed = home / name
    changed.chmod(changed.stat().st_mode | mode)
    with pytest.raises(SettingsError) as refused:
        load(home / "c.yaml")
    assert f"{changed}: others can write to it" in str(refused.value)
    assert str(refused.value).endswith(f"chmod go-w {changed}")
    load(home / "c.yaml", files=False)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rules: [token, tls.crt], disable: [card, acme-key], hash_key: key", ""),
        ("hash_key: token", "masking.hash_key: HOME/token holds 5 bytes, and a key has 32 to 4096: head -c 32 /dev/"),
        ("hash_key: open", "HOME/open is open to other users (mode 0640)"),
        ("rules: [missing]", "masking.rules[0]: there is no HOME/missing"),
        ("rules: [folder]", "masking.rules[0]: HOME/folder is a folder; name a file"),
        ("disable: [Card]", 'masking.disable[0]: "Card" is not the name of a rule or a kind: a-z, 0-9 and, inside, -'),
    ],
)
def test_files_of_masking(home: Path, setting: str, expected: str) -> None:
    """Rules that are there; a key that is long enough and nobody else's."""
    (home / "key").write_bytes(bytes(range(32)))
    (home / "key").chmod(0o600)
    found = told(home, HEAD % "keys.json" + TARGET % "credential: token" + f"masking: {{{setting}}}")
    assert expected in found
    assert bool(expected) is bool(found)
