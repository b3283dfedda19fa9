"""What the demo prints at its end."""

from pathlib import Path
from typing import Any

import pytest

from examples.demo.checks import Check, check_silence, check_trace
from examples.demo.evidence import content_of
from examples.demo.summary import check_lines, decided, isolation_lines, policies, trail_lines
from extproc.audit.bodies.address import SALT_BYTES, SUFFIX
from extproc.audit.bodies.coding import Coder, salt_frame


def reason(policy: str, effect: str, code: str = "x", mode: str = "enforce") -> dict[str, Any]:
    """One reason of a decision."""
    return {"policy": policy, "code": code, "message": "m", "severity": "low", "mode": mode, "effect": effect}


def row(effect: str, *reasons: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One line of `holdpoint audit list --json`."""
    return {
        "at": "2026-01-02T03:04:05.000000Z",
        "principal": {"subject": "support-assistant"},
        "target": {"name": "crm"},
        "action": {"verb": "GET", "resource": "/customers/1042"},
        "decision": {"effect": effect, "reasons": list(reasons)},
        "trace_address": "http://jaeger/trace/1",
    } | more


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row("allow"), "allowed"),
        (row("allow", delivery={"masked": {"card": 1, "ssn": 2}}), "allowed; masked 1 card, 2 ssn"),
        (row("allow", delivery={"masked": {"request": {}, "response": {"card": 1}}}), "allowed; masked 1 card"),
        (row("allow", delivery={"masked": {"key:ssn": 3}}), "allowed; masked 3 ssn"),
        (row("allow", delivery={"masked": {}}), "allowed"),
        (row("allow", approvers=[{"subject": "dana"}]), "held, approved by dana"),
        (row("block"), "blocked"),
        (row("hold"), "held"),
    ],
)
def test_a_decision_in_words(given: dict[str, Any], expected: str) -> None:
    """Effect, approvers, masks."""
    assert decided(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row("block", reason("http.a", "allow"), reason("http.b", "block")), ["http.b"]),
        (row("allow", reason("http.a", "allow", "approved"), reason("http.b", "allow")), ["http.a"]),
        (row("allow", reason("http.a", "allow"), reason("http.b", "block", mode="shadow")), ["http.a"]),
        (row("block", reason("holdpoint", "block", "unexpected-destination")), ["holdpoint/unexpected-destination"]),
        (row("allow"), []),
    ],
)
def test_the_policies_behind_a_decision(given: dict[str, Any], expected: list[str]) -> None:
    """Those that decided, not those that were merely asked."""
    assert policies(given) == expected


def test_the_trail_names_each_trace_once() -> None:
    """Rows refer to a trace by number; its address stands below."""
    lines = trail_lines([row("allow"), row("block"), row("allow", trace_address="http://jaeger/trace/2")], True)
    assert [line.strip() for line in lines[6:]] == [
        "trace [1]: http://jaeger/trace/1",
        "trace [2]: http://jaeger/trace/2",
    ]
    assert [line.split()[-1] for line in lines[0:6:2]] == ["[1]", "[1]", "[2]"]


def test_without_jaeger_no_address_is_shown() -> None:
    """An address where nobody answers helps nobody."""
    assert [line for line in trail_lines([row("allow")], False) if "://" in line] == []


def test_checks_are_marked() -> None:
    """True and false can be told apart at a glance."""
    assert check_lines([Check("a", True, "b"), Check("c", False, "d")]) == ["✓ a", "    b", "✗ c", "    d"]


def test_an_open_way_in_is_named() -> None:
    """As another user an open way is a failure that is named; as the same user it is said plainly."""
    attempts = [{"what": "read /x", "held": False, "how": "1 byte read"}, {"what": "read /y", "held": True, "how": ""}]
    assert isolation_lines(attempts, True)[-1] == "    open: read /x: 1 byte read"
    assert isolation_lines(attempts, False)[0].startswith("!")


@pytest.mark.parametrize(
    ("places", "expected"),
    [({"journal": b"nothing"}, True), ({"journal": b"a", "log": b"..AKIA.."}, False), ({}, False)],
)
def test_a_secret_is_looked_for_everywhere(places: dict[str, bytes], expected: bool) -> None:
    """One hit in one place is a failure, and so is nothing to look through."""
    assert check_silence(places, {"the secret": "AKIA"}).true is expected


def test_a_recorded_body_is_looked_into(tmp_path: Path) -> None:
    """It is kept packed, where a search for bytes would find nothing."""
    body, other = tmp_path / f"body{SUFFIX}", tmp_path / "log"
    secret = b"4000 0566 5566 5556, " * 9
    body.write_bytes(Coder().frame(secret) + salt_frame(b"s" * SALT_BYTES))
    other.write_bytes(secret)
    assert [content_of(body), content_of(other), secret in body.read_bytes()] == [secret, secret, False]


@pytest.mark.parametrize(
    ("decisions", "traced", "expected"),
    [(["a", "b"], ["b", "a", "c"], True), (["a", "b"], ["a"], False), ([], [], False)],
)
def test_the_trace_must_hold_every_decision(decisions: list[str], traced: list[str], expected: bool) -> None:
    """One missing decision, or none at all, is no whole trace."""
    assert check_trace(decisions, traced, "1").true is expected
