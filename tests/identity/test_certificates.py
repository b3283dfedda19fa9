"""Client certificates: whom they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.adapters.identity import CertificateRule, Certificates
from extproc.adapters.identity.certificates import trust_domain
from extproc.domain.identity import Certificate, IdentityRefused
from extproc.domain.principal import Kind, Principal

DIGEST = "ab" * 32
NAMED = f"certificate:{DIGEST[:16]}"
SPIFFE = CertificateRule(spiffe="example.org", kind=Kind.SERVICE, groups=("mesh",))
CORP = CertificateRule(name="corp-ca")
BOTH = Certificates([SPIFFE, CORP])


def certificate(uri: str = "", dns: str = "", subject: str = "") -> Certificate:
    """A certificate of these names."""
    return Certificate(DIGEST, uri, dns, subject)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            certificate("spiffe://example.org/ns/prod/sa/bot", "a.test"),
            Principal(
                "spiffe://example.org", "spiffe://example.org/ns/prod/sa/bot", Kind.SERVICE, ("mesh",), credential=NAMED
            ),
        ),
        (certificate("", "a.test", "CN=a"), Principal("mtls:corp-ca", "a.test", Kind.AGENT, credential=NAMED)),
        (certificate("", "", "CN=a,O=b"), Principal("mtls:corp-ca", "CN=a,O=b", Kind.AGENT, credential=NAMED)),
        (
            certificate("https://a.test/", "", "CN=a"),
            Principal("mtls:corp-ca", "CN=a", Kind.AGENT, credential=NAMED),
        ),
    ],
)
def test_certificates_that_name_somebody(shown: Certificate, expected: Principal) -> None:
    """A SPIFFE ID names the party whole; without one, the DNS name does, or the subject."""
    assert BOTH.principal(shown) == expected


@pytest.mark.parametrize(
    ("certificates", "shown"),
    [
        (BOTH, certificate("spiffe://other.org/a", "a.test")),
        (BOTH, certificate("SPIFFE://example.org/a", "a.test")),
        (BOTH, certificate("spiffe:example.org/a", "a.test")),
        (BOTH, certificate()),
        (BOTH, certificate("", " ", "CN=a")),
        (BOTH, certificate("", "a\u202eb")),
        (Certificates([SPIFFE]), certificate("", "a.test")),
        (Certificates([CORP]), certificate("spiffe://example.org/a", "a.test")),
        (Certificates(), certificate("spiffe://example.org/a")),
    ],
)
def test_certificates_that_name_nobody(certificates: Certificates, shown: Certificate) -> None:
    """A SPIFFE ID that is not believed is never passed over for another name in the same certificate."""
    with pytest.raises(IdentityRefused, match="certificate"):
        certificates.principal(shown)


LONG = "a" * 2048
IDS: list[tuple[str, bool]] = [
    ("spiffe://example.org/a", True),
    ("spiffe://example.org/a/b.c-d_e/F1", True),
    ("spiffe://example_1.org-x/a", True),
    ("spiffe://example.org/...", True),
    ("spiffe://example.org/.a/a.", True),
    ("spiffe://example.org", False),
    ("spiffe://example.org/", False),
    ("spiffe://example.org/a/", False),
    ("spiffe://example.org//a", False),
    ("spiffe://example.org/./a", False),
    ("spiffe://example.org/a/..", False),
    ("spiffe://example.org/%61", False),
    ("spiffe://example.org/a b", False),
    ("spiffe://example.org/a\n", False),
    ("spiffe://example.org/a?b", False),
    ("spiffe://example.org/a#b", False),
    ("spiffe://example.org:1/a", False),
    ("spiffe://me@example.org/a", False),
    ("spiffe://Example.org/a", False),
    ("spiffe://exämple.org/a", False),
    ("spiffe:///a", False),
    ("https://example.org/a", False),
    ("spiffe://example.org/" + "a" * (2048 - 21), True),
    (f"spiffe://example.org/{LONG}", False),
    (f"spiffe://{'a' * 255}/a", True),
    (f"spiffe://{'a' * 256}/a", False),
]


@pytest.mark.parametrize(("spiffe_id", "valid"), IDS, ids=range(len(IDS)))
def test_spiffe_ids(spiffe_id: str, valid: bool) -> None:
    """The SPIFFE ID standard, section 2, for workloads."""
    if valid:
        assert trust_domain(spiffe_id) == spiffe_id.split("/")[2]
        return
    with pytest.raises(IdentityRefused):
        trust_domain(spiffe_id)


@given(uri=st.from_regex(r"(?i)spiffe:.{0,40}") | st.text(max_size=30), dns=st.text(max_size=9), subject=st.text())
def test_whatever_a_certificate_says(uri: str, dns: str, subject: str) -> None:
    """Somebody of these issuers, or nobody."""
    try:
        principal = BOTH.principal(certificate(uri, dns, subject))
    except IdentityRefused:
        return
    assert (principal.issuer, principal.subject) in {
        ("spiffe://example.org", uri), ("mtls:corp-ca", dns), ("mtls:corp-ca", subject)
    }  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        [CertificateRule()],
        [CertificateRule(spiffe="a", name="b")],
        [SPIFFE, SPIFFE],
        [CORP, CertificateRule(name="other")],
    ],
)
def test_rules_that_overlap(rules: list[CertificateRule]) -> None:
    """One certificate never fits two rules."""
    with pytest.raises(ValueError, match="rule"):
        Certificates(rules)
