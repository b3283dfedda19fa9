"""The rules: what each kind of sensitive value looks like, as data, with cases that a test runs.

To add a kind: one entry in RULES with its pattern, boundaries, validator and cases. Nothing else changes; streaming,
JSON and the rest are derived. Formats of tokens are those that their vendors document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from extproc.masking.checks import values as checks
from extproc.masking.rules.pattern import Alt, Chars, Lit, Rep, Seq

Check = Callable[[bytes, int, int], int]


class Kind(StrEnum):
    """What a detector finds. The value is the name that policies and the mask text use."""

    CARD = "card"
    SSN = "ssn"
    IBAN = "iban"
    EMAIL = "email"
    AWS_KEY = "aws-key"
    GITHUB_TOKEN = "github-token"  # noqa: S105 - the name of a kind
    OPENAI_KEY = "openai-key"
    SLACK_TOKEN = "slack-token"  # noqa: S105 - the name of a kind
    JWT = "jwt"
    PRIVATE_KEY = "private-key"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Tail:
    """What is swallowed after a head, in constant memory: a run of these characters; or, with `block`, a PEM block:
    everything up to its END line, for 16 KiB whatever it is and after that only while it looks like base64."""

    members: str
    block: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind. `before` and `after` are classes of characters that may not touch the match ("" = any may); `check`
    says where the value ends or that there is none. A rule with a tail has no `after`. `keys` are JSON member names
    (lower case, letters and digits only) under which `keyed`, a pattern for the whole value, is enough."""

    kind: str
    pattern: Seq
    before: str = "0-9A-Za-z"
    after: str = ""
    check: Check | None = None
    tail: Tail | None = None
    keys: frozenset[str] = frozenset()
    keyed: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()


_WORD = "0-9A-Za-z"
_B64URL = "A-Za-z0-9_-"
_BEARER = "A-Za-z0-9._~+/=-"
_LOCAL = "A-Za-z0-9._%+-"
_GAP = Chars(" -", 0, 1)
_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

RULES: tuple[Rule, ...] = (
    Rule(
        Kind.CARD,
        (Chars("2-9"), Rep((_GAP, Chars("0-9")), 12, 18)),
        after=_WORD,
        check=checks.card,
        positive=(
            "4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "4222222222222",
            "3714 496353 98431", "6011000990139424 123", "1234 4111 1111 1111 1111", "card:4111111111111111.",
        ),
        negative=(
            "4111111111111112", "411111111111", "0000000000000000", "1700000000000", "0.4111111111111111",
            "4111  1111  1111  1111", "x4111111111111111", "4111111111111111x", "41111111111111111111111111",
        ),
    ),
    Rule(
        Kind.SSN,
        (
            Alt((
                (Chars("0-9", 3, 3), Lit("-"), Chars("0-9", 2, 2), Lit("-"), Chars("0-9", 4, 4)),
                (
                    Alt(((Lit("ssn", True),), (Lit("social security", True),), (Lit("social security number", True),))),
                    Chars(r" \t:#=\x22\x27", 1, 4), Chars("0-9", 3, 3), Chars(" ", 0, 1), Chars("0-9", 2, 2),
                    Chars(" ", 0, 1), Chars("0-9", 4, 4),
                ),
            )),
        ),
        after=_WORD,
        check=checks.ssn,
        keys=frozenset({
            "ssn", "ssnumber", "ssnno", "socialsecurity", "socialsecuritynumber", "socialsecurityno", "ussn", "usssn",
        }),
        keyed="[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}",
        positive=("123-45-6789", "SSN: 123456789", "ssn=123 45 6789", "social security number: 123456789",
                  "(219-09-9999)"),
        negative=("000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000", "1123-45-6789",
                  "123456789", "123-45-67890", "lessn 123456789x"),
    ),
    Rule(
        Kind.IBAN,
        (Chars("A-Za-z", 2, 2), Chars("0-9", 2, 2), Rep((_GAP, Chars(_WORD)), 11, 30)),
        after=_WORD,
        check=checks.iban,
        positive=("DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19 and more",
                  "gb29nwbk60161331926819", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"),
        negative=("DE88370400440532013000", "ZZ89370400440532013000", "DE8937040044053201300",
                  "XDE89370400440532013000",
                  "DE893704004405320130001"),
    ),
    Rule(
        Kind.EMAIL,
        (Chars(_LOCAL, 1, 64), Lit("@"), Chars("A-Za-z0-9.-", 4, 128)),
        before=_LOCAL,
        check=checks.email,
        positive=("jane@example.com", "<jane.doe+x@mail.example.co.uk>.", "mailto:a@b.io",
                  "A_B%c@xn--bcher-kva.xn--p1ai",
                  "jane@example.com.", "jane@example.com-", "..jane@example.com"),
        negative=("jane@", "@example.com", "jane@localhost", "a@b.c", "pkg@1.2.3", "a@b..com", "a @b.com"),
    ),
    Rule(
        Kind.AWS_KEY,
        (Alt(tuple((Lit(p),) for p in ("AKIA", "ASIA", "ABIA", "ACCA"))), Chars("A-Z0-9", 16, 16)),
        after=_WORD,
        positive=("AKIAIOSFODNN7EXAMPLE", "id=ASIAY34FZKBOKMUTVV7A;", "_AKIAIOSFODNN7EXAMPLE"),
        negative=("AKIAIOSFODNN7EXAMPL", "xAKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLEX", "akiaiosfodnn7example"),
    ),
    Rule(
        Kind.GITHUB_TOKEN,
        (Alt((
            (Lit("gh"), Chars("oprsu"), Lit("_"), Chars("A-Za-z0-9_", 36, 36)),
            (Lit("github_pat_"), Chars("A-Za-z0-9_", 22, 22)),
        )),),
        tail=Tail("." + _B64URL),
        positive=("ghp_" + "a1B2" * 9, "ghs_" + "a1B2" * 9, "gho_" + "0" * 36, "github_pat_11ABCDEFG0" + "x" * 70),
        negative=("ghp_" + "a" * 35, "ghx_" + "a" * 36, "xghp_" + "a" * 36, "github_pat_123"),
    ),
    Rule(
        Kind.OPENAI_KEY,
        (Lit("sk-"), Chars(_B64URL, 20, 20)),
        check=checks.mixed,
        tail=Tail(_B64URL),
        positive=("sk-" + "aB3d" * 12, "sk-proj-" + "aB3_" * 30, "OPENAI_API_KEY=sk-svcacct-1234567890abcdef"),
        negative=("sk-short", "sk-folding-cube-container", "ask-1234567890abcdefghij"),
    ),
    Rule(
        Kind.SLACK_TOKEN,
        (Lit("xox"), Chars("a-z"), Lit("-"), Chars("A-Za-z0-9-", 10, 10)),
        check=checks.digit,
        tail=Tail("A-Za-z0-9-"),
        positive=("xoxb-123456789012-abcdefGHIJ", "xoxp-1-2-3-4567890abcdef", "token=xoxe-1-My0xLTEyMzQ1Njc4"),
        negative=("xoxb-12345", "xox-1234567890123", "xoxb-some-text-without", "foxoxb-1234567890"),
    ),
    Rule(
        Kind.JWT,
        (Lit("e"), Chars("wy"), Chars(_B64URL, 14, 14)),
        check=checks.jose,
        tail=Tail("." + _B64URL),
        positive=(
            _HEADER + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "eyJhbGciOiJub25lIn0.e30.", "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.e30.c2ln", "_" + _HEADER + ".e30.x",
        ),
        negative=("eyJsaW1pdCI6MTAwLCJvZmZzZXQiOjB9", "eyJhbGci", "x" + _HEADER + ".e30.x",
                  "eyes-on-the-prize-everyone"),
    ),
    Rule(
        Kind.PRIVATE_KEY,
        (
            Lit("-----BEGIN "), Chars("A-Z0-9 ", 0, 40), Lit("PRIVATE KEY"),
            Alt(((Lit("-----"),), (Lit(" BLOCK-----"),))),
        ),
        before="",
        tail=Tail(r"A-Za-z0-9+/=\s:,\\-", block=True),
        positive=(
            "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\n\nMIIEvQ==\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: (x)\n\nx",
        ),
        negative=("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----",
                  "BEGIN PRIVATE KEY"),
    ),
    Rule(
        Kind.BEARER,
        (Lit("bearer", True), Chars(r" \t", 1, 4), Chars(_BEARER, 6, 16)),
        check=checks.bearer,
        tail=Tail(_BEARER),
        positive=("Authorization: Bearer mF_9.B5f-4.1JqM", "bearer abcdefghijklmnop", "BEARER abc123"),
        negative=("Bearer token", "the bearer of news", "forbearer abcdefghijklmnop", "Bearer <token>"),
    ),
)  # fmt: skip

PERSONAL: frozenset[str] = frozenset({Kind.CARD, Kind.SSN, Kind.IBAN, Kind.EMAIL})
"""Kinds that give their name to a span only where no secret begins: a token before `@` is not just an address."""

BY_KIND: dict[str, Rule] = {str(rule.kind): rule for rule in RULES}


def in_text(key: str) -> Rule:
    """A rule for `key=value`, `key: value` and `"key": "value"` in text that has no structure we read: a best effort
    that takes the value up to the next blank, quote, comma, semicolon, ampersand or angle bracket."""
    gap = Chars(r" \t", 0, 3)
    quote = Chars(r"\x22\x27", 0, 1)
    value = r"^\s\x22\x27,;&<>"
    return Rule(
        f"key:{key}",
        (Lit(key.encode().decode("latin-1"), True), quote, gap, Chars(":="), gap, quote, Chars(value)),
        before="0-9A-Za-z_",
        tail=Tail(value),
    )
