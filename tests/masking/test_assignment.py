"""What is assigned to a name like `password`: found where it is a secret, left where it is code or a stand-in."""

import ast
import base64
import ftplib
import getpass
import hmac
import imaplib
import inspect
import netrc
import smtplib
import tokenize
import urllib.request
from collections.abc import Iterable

import pytest

from extproc.masking.checks import named
from extproc.masking.engine.engine import Engine
from extproc.masking.engine.scanner import scan
from extproc.masking.rules import shipped

KINDS = frozenset({"password", "secret-assignment"})
DETECTOR = Engine(rule for rule in shipped.rules() if rule.kind in KINDS).detector()

TOKEN = "q7Zk2Vb9" * 4

FOUND = {
    'password = "hunter2x"': "hunter2x",
    "db_password: S3cr3t!": "S3cr3t!",
    "PASSWORD=letmein": "letmein",
    f'"api_key": "{TOKEN}"': TOKEN,
    f"export SECRET_TOKEN={TOKEN}": TOKEN,
    f"client_secret = '{TOKEN}'": TOKEN,
    f"const apiKey = `{TOKEN}`;": TOKEN,
    "--password=h7nth7nt": "h7nth7nt",
    "mysql -u root -ph7nth7nt db": "h7nth7nt",
    "https://a.b/?user=x&password=h7nth7nt&page=2": "h7nth7nt",
    "{password: h7nth7nt}": "h7nth7nt",
    "passwd = tr0ub4dor,": "tr0ub4dor",
    'if ("h7nt!h7nt" == my_password) {': "h7nt!h7nt",
    'password "h7nt!h7nt";': "h7nt!h7nt",
    '{\\"password\\": \\"h7nth7nt\\"}': "h7nth7nt",
    'password = "correct horse battery staple"': "correct horse battery staple",
}

LEFT = (
    "password = get_password()",
    "token: str",
    "self.token = token",
    "secret: Secret",
    "password=None",
    '"token": "{{ token }}"',
    "password = os.environ['DB_PASSWORD']",
    "password: ${DB_PASSWORD}",
    "token = tokens[0].value1",
    "api_key=settings.API_KEY_2",
    'password: "Password must have 8 characters"',
    'password_hint = "Your first pet"',
    'token = "identifier"',
    'secretName: "my-app-tls-1"',
    "token_type=Bearer",
    "max_tokens: 4096",
    '"total_tokens": 123456',
    "password: ********",
    'password = "changeme"',
    "password = '<your password>'",
    "secret = projects/1/secrets/x",
    "-----PASSWORD-----",
    "the secret = what nobody knows1 of",
    "axios.CancelToken = CancelToken$1;",
    "pw=pwd=pw=pwd=pw=",
)


def values(text: str, named: Iterable[int] = ()) -> list[str]:
    data = text.encode()
    return [data[span.start : span.end].decode() for span in scan(DETECTOR, text, frozenset(named))]


@pytest.mark.parametrize(("text", "value"), FOUND.items())
def test_a_secret_is_found_and_nothing_else(text: str, value: str) -> None:
    """The whole value, without quotes or what follows it."""
    assert values(text) == [value]


@pytest.mark.parametrize("text", LEFT)
def test_what_only_has_the_name_is_left(text: str) -> None:
    """References, calls, types, templates, labels, sentences, stand-ins."""
    assert values(text) == []


@pytest.mark.parametrize(
    "module", [ast, ftplib, getpass, hmac, imaplib, netrc, smtplib, tokenize, urllib.request], ids=lambda m: m.__name__
)
def test_ordinary_source_code_has_none(module: object) -> None:
    """Modules that are about passwords and tokens, and have none."""
    assert values(inspect.getsource(module)) == []  # type: ignore[arg-type]  # modules, all of them


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("password", "letmein", True),
        ("newPassword", "tr0ub4dor", True),
        ("portal_password", "h7nth7nt", True),
        ("client_secret", TOKEN, True),
        ("password", "Password", False),
        ("password", "${PASSWORD}", False),
        ("token", "identifier", False),
        ("title", "letmein", False),
    ],
)
def test_the_value_of_a_named_field(name: str, value: str, found: bool) -> None:
    """As a JSON member, a column or a form field has it: the name counts, the value still has to look like one."""
    assert values(value, DETECTOR.named(name)) == ([value] if found else [])


@pytest.mark.parametrize(
    ("check", "value", "accepted"),
    [
        ("basic", base64.b64encode(b"user:pass").decode(), 12),
        ("basic", base64.b64encode(b"username").decode(), 0),
        ("url_password", "h7nt@host", 4),
        ("url_password", "p@ss@host", 4),
        ("url_password", "password@example", 0),
        ("url_password", "8000@host", 0),
        ("url_password", "${PW}@host", 0),
        ("url_token", "a1b2@host", 4),
        ("url_token", "name@host", 0),
        ("openai", "sk-proj-a1", 10),
        ("openai", "sk-ant-a1", 0),
        ("openai", "sk-some-words", 0),
        ("distinct", "abcdefgh", 8),
        ("distinct", "abcdefga", 0),
        ("classes", "aA1", 3),
        ("classes", "aa1", 0),
        ("random_value", TOKEN, 32),
        ("random_value", "the-name-of-an-object-in-the-cache1", 0),
    ],
)
def test_a_check_sees_its_candidate_only(check: str, value: str, accepted: int) -> None:
    """It gives the end of what it accepts, whatever stands around."""
    for before, behind in ((b"\n\n", b"\n"), (b"x=", b"!"), (b"://", b"/")):
        data = before + value.encode() + behind
        start = len(before)
        assert named(check)(data, start, start + len(value)) == (start + accepted if accepted else 0)
