"""What `holdpoint check` sees of the place that a gateway is to run in."""

import os
import socket
from pathlib import Path

import pytest

from extproc.app.check import check
from extproc.app.layout import Layout
from extproc.app.place import runs, state_problem
from extproc.config import advice
from extproc.masking.rules import shipped
from tests.live.making import CRM, settings


def test_a_state_folder_that_can_be_used_or_made_is_no_problem(tmp_path: Path) -> None:
    """And looking at it makes nothing."""
    assert state_problem(tmp_path / "a" / "b") is None
    assert not (tmp_path / "a").exists()
    tmp_path.chmod(0o700)
    assert state_problem(tmp_path) is None


def test_a_state_folder_that_others_can_enter_or_that_is_a_file(tmp_path: Path) -> None:
    """Each with what would be right."""
    tmp_path.chmod(0o755)
    assert str(state_problem(tmp_path)).endswith(f"others can enter it; chmod 700 {tmp_path}")
    (tmp_path / "file").touch()
    assert "is not a folder" in str(state_problem(tmp_path / "file" / "state"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_state_folder_that_nobody_lets_us_make(tmp_path: Path) -> None:
    """Its parent says no."""
    tmp_path.chmod(0o500)
    assert "can't write to it" in str(state_problem(tmp_path / "state"))


def test_a_taken_port_is_found_unless_the_gateway_of_this_state_has_it(tmp_path: Path) -> None:
    """So that `check` can be run beside a gateway that works."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        given = settings(tmp_path, CRM, more=f'state: s\nlisten: {{proxy: "127.0.0.1:{port}"}}')
        (ports,) = [finding for finding in check(given) if finding.what == "ports"]
        assert f"can't listen on 127.0.0.1:{port}: Address already in use" in str(ports.problem)
        layout = Layout(given.state)
        layout.prepare()
        assert not runs(layout)
        lock = layout.lock()
        try:
            assert runs(layout)
            (ports,) = [finding for finding in check(given) if finding.what == "ports"]
            assert ports.problem is None
        finally:
            os.close(lock)


def test_rules_of_ones_own_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started, with the file and the rule."""
    monkeypatch.setattr(shipped, "rules", lambda: ())
    (tmp_path / "acme.yaml").write_text("rules: [{id: acme}]")
    given = settings(tmp_path, CRM, more="state: s\nmasking: {rules: [acme.yaml]}")
    (rules,) = [finding for finding in check(given) if finding.what == "masking rules"]
    assert rules.detail == str(tmp_path / "acme.yaml")
    assert f"{tmp_path}/acme.yaml: rule acme: missing" in str(rules.problem)


def test_advice_on_proxies_and_networks(tmp_path: Path) -> None:
    """What is allowed, and more than most mean."""
    target = 'crm: {upstream: "http://localhost:9001", networks: [0.0.0.0/0]}'
    lines = "\n".join(advice(settings(tmp_path, target, more='listen: {proxy: "0.0.0.0:8081"}')))
    assert "listen.proxy: agents' tokens cross the network in clear text" in lines
    assert "targets.crm.networks: any address at all" in lines
