"""A plan with a few rules of our own, for the tests of structures."""

from collections.abc import Mapping

from extproc.domain.mask import Operator
from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Plan
from extproc.masking.rules.reading import read

_RULES = r"""
rules:
  - {id: card, kind: card, family: financial, pattern: '[2-9](?:[ -]?\d){12,18}', check: card,
     positive: ['4111 1111 1111 1111'], negative: ['1']}
  - {id: ssn, kind: ssn, family: identity, pattern: '\d{3}-?\d{2}-?\d{4}', check: ssn, score: 0.2,
     context: [ssn, social security], positive: ['ssn 123456789'], negative: ['1']}
  - {id: email, kind: email, family: contact, pattern: '[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{4,128}',
     before: 'A-Za-z0-9._%+-', after: '', check: email, positive: ['jane@example.com'], negative: ['1']}
  - {id: pem, kind: private-key, family: secret, tail: pem, before: '',
     pattern: '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----', positive: ['-----BEGIN PRIVATE KEY-----'], negative: ['1']}
"""

ENGINE = Engine(read(_RULES, "the tests' rules"))

CARD, EMAIL, SSN = "4111 1111 1111 1111", "jane@example.com", "123456789"
"""A card and an address wherever they stand; a number that is a social security number in context only."""


def plan(
    *keys: str, lenient: bool = False, operators: Mapping[str, Operator] | None = None, hash_key: bytes = b"k" * 32
) -> Plan:
    """A plan for all of these rules, and for these names."""
    return Plan(ENGINE.detector(), frozenset(keys), operators or {}, hash_key, lenient)
