"""A company's own rules in a gateway that runs: what policy may name, and what becomes of it when a rule goes."""

from collections.abc import Iterator

import pytest

from tests.support.flows import until
from tests.support.gateway import Gateway
from tests.support.masked import counted, delivered, made, policy_saw, sent, whole

RULES = """rules:
  - id: acme-customer
    kind: {kind}
    family: identity
    about: Customer number of ACME
    pattern: '{prefix}-\\d{{6}}'
    positive: ['{prefix}-123456']
    negative: ['{prefix}-12345']
"""
BODY = "KD-123456 and KX-654321"
TABLE = {
    "kind": [{"kinds": ["acme-customer"]}],
    "family": [{"kinds": ["identity"]}],
    "requests": [{"kinds": ["acme-customer"], "lanes": ["request"]}],
    "answers": [{"kinds": ["acme-customer"], "lanes": ["response"]}],
    "never": [{"kinds": ["no-such-kind"], "lanes": ["response"]}],
    "except": [{"kinds": ["card"], "except": ["no-such-kind"]}],
    "cards": [{"kinds": ["card"]}],
}


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway with a rule of its own."""
    gateway = made(TABLE, masking="rules: [acme.yaml]")
    rules(gateway)
    try:
        yield gateway.start()
    finally:
        gateway.stop()


def rules(gateway: Gateway, kind: str = "acme-customer", prefix: str = "KD") -> None:
    """Write the company's file."""
    (gateway.folder / "acme.yaml").write_text(RULES.format(kind=kind, prefix=prefix))


def ask(gateway: Gateway, path: str) -> tuple[int, str, list[bytes]]:
    """Post the body and have it answered: status and text of the answer, and the bodies that the upstream got."""
    gateway.upstream.reset()
    gateway.upstream.answer = whole(BODY.encode(), "text/plain")
    with gateway.client() as agent:
        reply = agent.post(path, content=BODY, headers={"content-type": "text/plain"})
    return reply.status_code, reply.text, [sent(seen) for seen in gateway.upstream.seen]


def masked(gateway: Gateway, path: str) -> str:
    """What the agent gets."""
    return ask(gateway, path)[1]


def refused(gateway: Gateway) -> str:
    """Why new rules are refused, as the log says next."""
    return str(gateway.wait_log(lambda e: str(e.get("message")).startswith("new rules REFUSED"))["message"])


@pytest.mark.parametrize("by", ["kind", "family"])
def test_a_rule_of_ones_own(gateway: Gateway, by: str) -> None:
    """By its kind and by its family, both ways; policy is told."""
    wanted = "[masked:acme-customer] and KX-654321"
    assert ask(gateway, f"/{by}/own") == (200, wanted, [wanted.encode()])
    assert policy_saw(gateway, f"/{by}/own") == {"acme-customer": 1}
    assert counted(gateway, f"/{by}/own") == {lane: {"acme-customer": 1} for lane in ("request", "response")}


def test_a_mask_for_one_way(gateway: Gateway) -> None:
    """The other way nothing is changed."""
    wanted = "[masked:acme-customer] and KX-654321"
    assert ask(gateway, "/requests/own") == (200, BODY, [wanted.encode()])
    assert ask(gateway, "/answers/own") == (200, wanted, [BODY.encode()])


@pytest.mark.parametrize("what", ["never", "except"])
def test_a_kind_that_nobody_knows_blocks(gateway: Gateway, what: str) -> None:
    """Before anything is done, also where it is asked for of answers alone; the problem names it."""
    status, text, upstream = ask(gateway, f"/{what}/own")
    assert (status, upstream) == (503, [])
    assert "no-such-kind" in text
    assert delivered(gateway, f"/{what}/own")["outcome"] == "refused:impossible-mask"


def test_a_changed_file_is_taken_and_a_bad_one_is_not(gateway: Gateway) -> None:
    """Without a restart. The log and the journal say what is wrong and where, and the last good rules stay."""
    worker, before = gateway.pid("worker-0"), len(gateway.records("config"))
    rules(gateway, prefix="KX")
    until(lambda: masked(gateway, "/kind/own") == "KD-123456 and [masked:acme-customer]", "the new rule")
    file = gateway.folder / "acme.yaml"
    bad = {
        RULES.format(kind="acme-customer", prefix="KD").replace("pattern", "patern"): "unknown: patern",
        RULES.format(kind="acme-customer", prefix="KD").replace("['KD-123456']", "['KD-1']"): "rule acme-customer",
    }
    for text, why in bad.items():
        file.write_text(text)
        told = refused(gateway)
        assert str(file) in told
        assert why in told
        assert masked(gateway, "/kind/own") == "KD-123456 and [masked:acme-customer]"
    told_of = gateway.records("config")[before:]
    assert [record["what"] for record in told_of] == ["rules-changed", *["rules-refused"] * 2]
    assert all(str(file) in record["why"] and record["by"]["owners"] for record in told_of[1:])
    rules(gateway)
    until(lambda: masked(gateway, "/kind/own") == "[masked:acme-customer] and KX-654321", "the first rule")
    assert gateway.pid("worker-0") == worker


def test_a_policy_whose_kind_is_gone_blocks(gateway: Gateway) -> None:
    """Whatever does not name it goes on, masked by its family. It comes back with the rule."""
    rules(gateway, kind="acme-client")
    until(lambda: masked(gateway, "/family/gone") == "[masked:acme-client] and KX-654321", "the other kind")
    for path in ("/kind/gone", "/requests/gone", "/answers/gone"):
        status, text, upstream = ask(gateway, path)
        assert (status, upstream) == (503, [])
        assert "acme-customer" in text
    assert ask(gateway, "/cards/gone") == (200, BODY, [BODY.encode()])
    rules(gateway)
    until(lambda: masked(gateway, "/kind/back") == "[masked:acme-customer] and KX-654321", "the kind")
