"""A whole gateway that masks by a company's own rules, which change while it works."""

from collections.abc import Iterable, Iterator

import pytest

from tests.support.envoy_upstream import Seen
from tests.support.flows import until
from tests.support.gateway import Gateway, running

RULE = (
    "rules: [{id: acme, kind: acme, family: identity, pattern: '%s-[0-9]{6}', positive: [%s-123456], negative: [x]}]\n"
)
CUSTOMER = b"AC-123456 and AD-123456"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway without rules of its own; the file of some lies there."""
    yield from running()


def customer(_: Seen) -> Iterable[bytes]:
    """A customer in the company's own words."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(CUSTOMER)}\r\n\r\n"
    return [head.encode() + CUSTOMER]


def test_rules_come_change_and_are_refused(gateway: Gateway) -> None:
    """By the shipped policy, for the new kind's family; bad ones leave the last good ones, and everybody is told."""
    gateway.upstream.answer = customer
    file = gateway.folder / "acme.yaml"
    with gateway.client() as agent:

        def answer() -> str:
            return agent.get("/customers/7").text

        assert answer() == "AC-123456 and AD-123456"
        file.write_text(RULE % ("AC", "AC"))
        gateway.config.write_text(gateway.config.read_text() + "\nmasking: {rules: [acme.yaml]}\n")
        until(lambda: answer() == "[masked:acme] and AD-123456", "the first rules")
        file.write_text(RULE % ("AD", "AD"))
        until(lambda: answer() == "AC-123456 and [masked:acme]", "the second rules")
        file.write_text("rules: [{id: acme}]")
        told = gateway.wait_log(lambda e: str(e.get("message")).startswith("new rules REFUSED"))
        assert f"{file}: rule acme: missing" in str(told["message"])
        assert answer() == "AC-123456 and [masked:acme]"
    whats = [record["what"] for record in gateway.records("config")]
    assert whats == ["started", "changed", "rules-changed", "rules-refused"]
    (policy,) = {name for record in gateway.records("delivery") for name in record["masked"].get("response", {})}
    assert policy == "acme"
