"""The real credential: put in by Envoy, seen by the upstream alone, never left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from extproc.protocols.http.headers import NOT_FOR_AGENTS
from tests.support.envoy import Gateway, until
from tests.support.envoy_processor import Processor
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"


def replace_file(path: Path, text: str) -> None:
    """Put a file in place of another by rename."""
    fresh = path.with_name(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


def sent(upstream: RecordingUpstream) -> list[str]:
    """The Authorization lines of the last request that arrived."""
    return upstream.seen[-1].headers.get("authorization", [])


def test_only_the_upstream_sees_it(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """The upstream gets the credential in place of the agent's token; the processor gets neither."""
    reply = gateway.request("/crm/a")
    assert (reply.status, sent(upstream)) == (200, [f"Bearer {SECRET}"])
    shown = b"".join(message.SerializeToString() for message in processor.exchange().messages)
    assert SECRET.encode() not in shown
    assert SECRET not in str(reply)


@pytest.mark.parametrize("path", ["/crm/a", "/files/a"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "401 Unauthorized", "503 No"])
def test_answers_lose_it_whatever_the_processor_says(
    gateway: Gateway, upstream: RecordingUpstream, path: str, status: str
) -> None:
    """Headers that could only be the credential, or a session made with it, stay behind."""
    lines = "".join(f"{name}: CLAIM\r\n" for name in sorted(NOT_FOR_AGENTS))
    upstream.answer = lambda _: [f"HTTP/1.1 {status}\r\n{lines}x-other: b\r\ncontent-length: 0\r\n\r\n".encode()]
    with gateway.open(gateway.head("GET", path, {"Connection": "close"})) as connection:
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(f"HTTP/1.1 {status[:3]}".encode())
    assert b"x-other: b" in received
    assert b"CLAIM" not in received


def test_target_without_one_sends_none(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """Where no credential is configured none is sent, the agent's own least of all."""
    assert gateway.request("/files/a").status == 200
    assert sent(upstream) == []


def test_admin_and_files_do_not_tell_it(gateway: Gateway) -> None:
    """config_dump redacts the value, and the generated files never contain it."""
    gateway.request("/crm/a")
    assert SECRET not in gateway.admin("/config_dump?include_eds")
    for path in (gateway.state / "envoy").rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(encoding="utf-8")


def test_rotation_by_rename(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """A file renamed into place takes effect on the next requests, without a change of configuration."""
    file = gateway.state / "creds" / "crm"
    replace_file(file, "the-next-credential")

    def rotated() -> bool:
        return gateway.request("/crm/a").status == 200 and sent(upstream) == ["Bearer the-next-credential"]

    until(rotated, "the next credential")
    replace_file(file, SECRET)
    until(lambda: gateway.request("/crm/a").status == 200 and sent(upstream) == [f"Bearer {SECRET}"], "the old one")


@pytest.mark.parametrize("content", ["the-real-credential\n", "a b\tc"])
def test_odd_content_never_splits_a_header(gateway: Gateway, upstream: RecordingUpstream, content: str) -> None:
    """Whatever the file holds, the upstream sees one header line of it or nothing."""
    file = gateway.state / "creds" / "crm"
    replace_file(file, content)
    until(lambda: gateway.request("/crm/a").status != 200 or sent(upstream) == [f"Bearer {content.strip()}"], "a read")
    replace_file(file, SECRET)
    until(lambda: gateway.request("/crm/a").status == 200 and sent(upstream) == [f"Bearer {SECRET}"], "the old one")


def test_missing_file_refuses(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """A target whose credential file is not there gets no request, with or without a credential."""
    before = gateway.plan
    crm = before.targets[0]
    assert crm.credential is not None
    lost = replace(crm, name="lost", credential=replace(crm.credential, file=str(gateway.state / "creds" / "lost")))
    try:
        gateway.apply(replace(before, targets=(*before.targets, lost)))
        statuses = {gateway.request("/lost/a").status for _ in range(5)}
        assert statuses <= {401, 503}
        # Envoy stops waiting for the file after a second, and refuses still.
        until(lambda: gateway.request("/lost/a").status == 401, "the filter to be without its credential")
        assert upstream.seen == []
        replace_file(gateway.state / "creds" / "lost", "found")
        (gateway.state / "envoy" / "secrets" / "lost-r1.json").rename(gateway.state / "envoy" / "secrets" / "moved")
        (gateway.state / "envoy" / "secrets" / "moved").rename(gateway.state / "envoy" / "secrets" / "lost-r1.json")
        until(lambda: gateway.request("/lost/a").status == 200, "the credential to be found")
        assert sent(upstream) == ["Bearer found"]
    finally:
        gateway.apply(before)
