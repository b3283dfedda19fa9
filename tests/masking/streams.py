"""Ways to cut a stream, and material to put values together from."""

import json
from collections.abc import Callable, Iterable

import yaml
from hypothesis import strategies as st

from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.rules.reading import read
from extproc.masking.rules.shipped import rules
from extproc.masking.shipped import knowledge
from extproc.masking.stage import Stage

Result = tuple[bytes, dict[str, int]]
Make = Callable[[], Stage]

KNOWLEDGE = knowledge()
RULES = rules()
PLAN = Plan(KNOWLEDGE.detector())
"""All shipped rules; everything that is found is redacted."""


def unmarked(case: str) -> str:
    """A case of a rule without the marks around its value."""
    return case.replace("⟦", "").replace("⟧", "")


def made(*rules: str) -> Engine:
    """An engine of rules that are written as members of a YAML mapping (`kind: a, pattern: 'x'`); those that a rule
    needs and a test does not care about are filled in."""
    needed = {"family": "secret", "positive": ["x"], "negative": ["x"]}
    given = [{"id": f"r{i}", **needed, **yaml.safe_load(f"{{{members}}}")} for i, members in enumerate(rules)]
    return Engine(read(json.dumps({"rules": given}), "test"))


def planned(*rules: str) -> Plan:
    """A plan that redacts what such rules find."""
    return Plan(Knowledge(made(*rules)).detector())


def plan_of(*kinds: str) -> Plan:
    """A plan that redacts what the shipped rules find of these kinds."""
    return Plan(KNOWLEDGE.detector(frozenset(kinds)))


CASES = [unmarked(case) for rule in RULES for case in rule.positive + rule.negative]

SECRETS = {
    "card": "4111 1111 1111 1111",
    "ssn": "219-09-9998",
    "iban": "DE89370400440532013000",
    "email": "jane.doe@example.com",
    "aws-key": "AKIAIOSFODNN7EXAMPLE",
    "github-token": "ghp_" + "a1B2" * 9,
    "openai-key": "sk-proj-" + "aB3_" * 8,
    "slack-token": "xoxb-123456789012-abcdef",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBg==\n-----END RSA PRIVATE KEY-----",
    "bearer": "Bearer mF_9.B5f-4.1JqM",
}
"""One valid value of each kind; none of them occurs inside another or in FILLER."""

FILLER = ["the order", "ships on", "2024-05-06", "No.", "é ü", "42", "\u2028", "{}", "=>", "a.b", "x" * 70, "naïve"]

_GLUE = [" ", "-", "@", ".", "\n", "1", "e", '"', "\\"]

pieces = st.lists(st.sampled_from([*CASES, *FILLER, *_GLUE]), max_size=8).map("".join)
"""Text that is rich in values, in near misses, and in values run into one another."""

planted = st.lists(st.sampled_from([*SECRETS.values(), *FILLER]), max_size=8).map(" ; ".join)
"""Text in which each value stands apart from its neighbours."""


def run(make: Make, data: bytes, cuts: Iterable[int] = ()) -> Result:
    """What a new stage makes of the data, cut at these offsets."""
    stage = make()
    out, at = [], 0
    for cut in [*sorted(cuts), len(data)]:
        out.append(stage.feed(data[at:cut]))
        at = cut
    out.append(stage.finish())
    return b"".join(out), stage.counts


def every_cut(make: Make, data: bytes) -> None:
    """Each single cut, and byte by byte, must give what the whole gives."""
    expected = run(make, data)
    for cut in range(len(data) + 1):
        assert run(make, data, [cut]) == expected, cut
    assert run(make, data, range(1, len(data))) == expected
