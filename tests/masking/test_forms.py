"""Forms in which a secret is given to a name, what a value is called, and values that are secrets by their name."""

import pytest

from extproc.domain.mask import Mask, Operator
from extproc.masking import find
from extproc.masking.build import build
from extproc.masking.text import TextStage
from tests.masking.streams import KNOWLEDGE, PLAN, every_cut

TOKEN = "q7Zk2Vb9" * 4
UUID = "3f1c9a52-7e4b-4d0a-9c6e-1b8d5f20a7e3"
LONG = "dt0c01.K7QX2M4B9ZL1VR8T5WNC3YHD." + "a8F3kQ1zP6" * 8
NUMBER = "739104628501937462"

FORMS = [
    '{name} = "{value}"',
    "{name}={value}",
    "{name}: {value}",
    '{name} := "{value}"',
    '{name} ::= "{value}"',
    '{name} :::= "{value}"',
    '{name} ?= "{value}"',
    "{name} ?= {value}",
    '{name} += "{value}"',
    '${name} .= "{value}"',
    '{name} ||= "{value}"',
    '$options["{name}"] ??= "{value}"',
    'System.setProperty("{name}", "{value}")',
    "os.environ.setdefault('{name}', '{value}')",
    '"{name}" => "{value}"',
    "<{name}>{value}</{name}>",
    "<{name}>\n    {value}\n</{name}>",
    "<{name}>\r\n\t{value}\r\n</{name}>",
    'var {name} string = "{value}"',
    "export {name}='{value}'",
    '{{"{name}": "{value}"}}',
]

VALUES = [
    ("API_TOKEN", TOKEN),
    ("db_password", "tr0ub4dor&3"),
    ("HEROKU_API_KEY", UUID),
    ("snykToken", UUID.upper()),
    ("clientSecret", UUID),
    ("mapbox_token", "pk.eyK1Ijo2x9bV3cQ7mW4nZ8.aT5rY2pL"),
    ("authress_secret", "sc_9xk2.ilfx.acc_7f3.q8w2e4r6t1y3u5i7o9p0a2s4"),
    ("NETLIFY_TOKEN", "jf3cls168=e118ogn7ayccm6ius5a9h9-pc_s"),
    ("cloudflare_token", "k9x2m4b7q1z8v5n3w6t0r2y4u7i1o5p9_"),
    ("discord_token", NUMBER),
    ("asana_secret", "5400137841006109"),
]


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[name for name, _ in VALUES])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_a_secret_to_its_name(form: str, name: str, value: str) -> None:
    """Whatever the language, the value is found, and what it is assigned to stays."""
    text = form.format(name=name, value=value)
    at = text.index(value)
    spans = [span for span in find(text) if span.start <= at and span.end >= at + len(value)]
    assert spans, find(text)
    assert text[: spans[0].start].count(name) >= 1


@pytest.mark.parametrize(
    "text",
    [
        f'dynatrace_token = "{LONG}"',
        f'var dynatraceToken string = "{LONG}"',
        f"curl -X POST https://a.b/c/d \\\n  -H 'Content-type: text/plain' \\\n  -u developer:{TOKEN[:16]}",
        "curl --user 'api:d2LkV78zLx!t' \\\n  https://a.b",
        'curl -u ":d2LkV78zLx!t" https://a.b',
        'curl -u "d2LkV78zLx!t:" https://a.b',
        f"curl -X GET https://a.b -H 'X-Api-Key: {UUID}'",
        f'curl -X GET \\\n  -H "apikey: {UUID}" \\\n  -H "Accept: application/json"',
        f"curl -H 'X-Api-Key: {TOKEN}'",
        f'curl -H "Authorization: Token {TOKEN}" -X PUT https://a.b',
        f"curl --header 'Authorization:  {UUID}'",
        "curl -H 'Authorization: Basic YnJvd3Nlcjo=' https://a.b",
        f'conf.get("api_token", "{UUID}")',
    ],
)
def test_arguments_and_headers(text: str) -> None:
    """The secret of a command line, wherever the command stands; of a header; and the default of a call."""
    assert find(text)


@pytest.mark.parametrize(
    "text",
    [
        f'public_key = "{TOKEN}9Cn"',
        f'publicToken = "{TOKEN}"',
        f"publishable-key: {TOKEN}",
        f"PublicKeyToken={TOKEN[:16]}",
        f"csrf-token={TOKEN}",
        f'<meta name="csrf_token" content="x"> csrfToken: "{TOKEN}"',
        f"XSRF-TOKEN={TOKEN}",
        f'<input type="hidden" name="authenticity_token" value="{TOKEN}">',
        f'__RequestVerificationToken = "{TOKEN}"',
        f'csrfmiddlewaretoken = "{TOKEN}"',
        f'"credentialId": "{TOKEN}"',
        f"credentialsId: '{UUID}'",
        f"token_id: {UUID}",
        f"request_id = '{UUID}'",
        f"secretName: {UUID}",
        "token = 1763700000001",
        "next_page_token = 1763700000001008",
        "discord_token = 12345678",
        "asana_token_count = 5400137841006109",
        "token = this.config.provider.someValue1.read()",
        "token = req.headers.authorization2",
        "token_url = main.3f2a9c8b7d6e5f4a3b2c1d0e.js",
        "secret = app.3f2a9c8b7d6e5f4a3b2c1d0e.chunk.js",
        'fields = ["password", "birthday", "username1"]',
        "docker run -u 1000:1000 image:latest1",
        "<password>\n  ${PASSWORD}\n</password>",
        "<token>\n  identifier-of-the-user\n</token>",
        "List<Token> tokens2 = parse2(x)",
        'API_TOKEN ?= "${OTHER_TOKEN}"',
        "TOKEN += token2",
        'password .= "your-password"',
    ],
)
def test_what_is_called_otherwise_is_left(text: str) -> None:
    """Public keys, tokens against forged requests, identifiers, clocks, code, files, stand-ins."""
    assert find(text) == []


@pytest.mark.parametrize("form", FORMS)
def test_the_name_counts_at_every_cut(form: str) -> None:
    """A value that its name alone makes a secret is found the same however the stream is cut; so is one that its name
    spares."""
    for name in ("HEROKU_API_KEY", "credential_id"):
        text = form.format(name=name, value=UUID)
        every_cut(lambda: TextStage(PLAN), f"x = 1\n{text}\nand more".encode())


@pytest.mark.parametrize("value", [UUID, TOKEN, "letmein"])
@pytest.mark.parametrize("blank", ["", "\n  ", "\r\n\t", " "])
def test_an_element_is_a_field_however_its_text_is_indented(value: str, blank: str) -> None:
    """In XML the value may stand on a line of its own."""
    document = f"<a><password>{blank}{value}{blank}</password></a>".encode()
    stage = build([Mask("p", ("secret",), (), Operator.REDACT)], "response", "application/xml", KNOWLEDGE)
    assert stage is not None
    assert value.encode() not in stage.feed(document) + stage.finish()
