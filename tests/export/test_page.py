"""Pages: nothing that a record says becomes markup, and nothing is fetched from anywhere."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from extproc.audit.export.exchange import read
from extproc.audit.export.page import duration, shown
from extproc.audit.export.report_action import CHARACTERS, _laid_out
from extproc.audit.export.report_html import DETAILED, report
from extproc.domain.decision import Recording
from tests.export import making

HOSTILE = "<script>alert(1)</script><img src=x onerror=y>\"' &amp; \x1b[31m \u202eevil\u200b \ufeff"
SHOWN = (
    ("a < b & c", "a &lt; b &amp; c"),
    ("\"quoted' ", "&quot;quoted&#x27; "),
    ("\x1b[31m", "&lt;U+001B&gt;[31m"),
    ("pay\u202eload", "pay&lt;U+202E&gt;load"),
    ("zero\u200bwidth\u3164", "zero&lt;U+200B&gt;width&lt;U+3164&gt;"),
    ("two\nlines\tand é", "two\nlines\tand é"),
    ("DROP\u0336 x\n\u0301", "DROP&lt;U+0336&gt; x\n&lt;U+0301&gt;"),
    ("a\ufffcb\u2d7f", "a&lt;U+FFFC&gt;b&lt;U+2D7F&gt;"),
)
TAGS = (
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "article",
        "div",
        "span",
        "p",
        "b",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "svg",
        "rect",
        "dl",
        "dt",
        "dd",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "a",
        "code",
        "pre",
    ),
    *("ul", "ol", "li", "br"),
)


class Tags(HTMLParser):
    """What a document is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        if tag not in ("meta", "br", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("text", "expected"), SHOWN)
def test_shown(text: str, expected: str) -> None:
    """Markup is escaped, and what can't be seen is spelled out."""
    assert shown(text) == expected


def page(world: making.World) -> str:
    """Its evidence report."""
    source = making.source(world)
    return b"".join(report(making.session(world.state), [], {}, source.bodies)).decode()


def test_hostile(tmp_path: Path) -> None:
    """Everything an agent, an approver or an upstream can say is only ever text."""
    world = making.World(tmp_path / "state")
    world.journal("worker-0").append("session", {**world.common(), "what": HOSTILE, "by": {"subject": HOSTILE}})
    world.held("h" * 16, "pending", "d" * 64)
    world.vote("h" * 16, "d" * 64, True, HOSTILE)
    world.act(
        HOSTILE, HOSTILE, reasons=[making.reason(HOSTILE, HOSTILE, HOSTILE, HOSTILE)], kind="text/html;" + HOSTILE,
        who={**making.BOT, "subject": HOSTILE, "groups": [HOSTILE], "acts_for": HOSTILE}, hold="h" * 16,
        request=HOSTILE.encode(), response=b"{" + HOSTILE.encode(), masked={"request": {HOSTILE: 3}}, target=HOSTILE,
    )  # fmt: skip
    world.close()
    found = page(world)
    tags = Tags()
    tags.feed(found)
    assert tags.open == []
    assert tags.tags <= set(TAGS)
    assert not {name for name, _ in tags.attributes if name.startswith("on") or name in ("style", "src")}
    assert all(value.startswith("#") for name, value in tags.attributes if name == "href")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]", found)


def test_policy(world: making.World) -> None:
    """The page may use its own style sheet, known by its hash, and nothing else; it names no other place."""
    found = page(world)
    style = found.partition("<style>")[2].partition("</style>")[0]
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in found
    assert "url(" not in style
    assert "@import" not in style


def test_tells_the_story(world: making.World) -> None:
    """Who, what, when, why, who approved, what was masked, and request and response are on it."""
    found = page(world)
    for text in (
        "crm-bot", "maria.lopez@example.com", "10.20.0.17", "/customers/7", "http.bulk",
        "Bulk exports are not for agents", "j.okafor@example.com",
        "Account closure confirmed by phone, ticket CRM-2210",
        "in shadow: it changed nothing", "Ada Ruiz", "[masked:card]", making.REVISION,
        "People were shown this very request",
    ):  # fmt: skip
        assert shown(text) in found, text


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Long bodies are cut, long sessions are listed and not shown in full, bodies not kept are named; each says so."""
    world = making.World(tmp_path / "state")
    fine = [making.reason("http.reads", "read", "Reads are allowed", "allow")]
    world.act("GET", "/long", reasons=fine, response=b"z" * (CHARACTERS + 1), kind="text/plain")
    world.act("GET", "/head", reasons=fine, response=b"z" * 99, kind="text/plain", mode=Recording.HEAD)
    world.act("GET", "/none", reasons=fine, response=b"z" * 99, kind="text/plain", mode=Recording.METADATA)
    world.act("GET", "/image", reasons=fine, response=b"\x89PNG", kind="image/png")
    for n in range(DETAILED):
        world.act("GET", f"/{n}", reasons=fine)
    world.close()
    found = page(world)
    assert f"cut to its first {CHARACTERS:,} characters; whole in bodies/" in found
    assert "the first 64 of 99 bytes were kept" in found
    assert "Not kept: recorded as metadata." in found
    assert "binary, 4 bytes: <code>bodies/" in found
    assert f"{DETAILED} of {DETAILED + 4} actions are shown in full; all are in records/." in found


JSON = (
    ('{"a":[1,2,{}],"b":"x,{y}:\\"z"}', '{\n  "a": [\n    1,\n    2,\n    {}\n  ],\n  "b": "x,{y}:\\"z"\n}'),
    ("[]", "[]"),
    ('["broken', '[\n  "broken'),
    ("}}]", "\n}\n}\n]"),
    ("1e400", "1e400"),
    ('{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'),
)


@pytest.mark.parametrize(("recorded", "expected"), JSON)
def test_laid_out(recorded: str, expected: str) -> None:
    """JSON gets line breaks, and keeps every character that is not white space."""
    assert _laid_out(recorded) == expected


def test_laid_out_is_bounded() -> None:
    """Deep nesting does not make a long page."""
    assert len(_laid_out("[" * 20_000)) < 20_000 * 60


def test_duration() -> None:
    """Durations have the unit that fits."""
    seconds = (0.0042, 1.26, 59.9, 192.4, 3600 * 2 + 300)
    assert [duration(s) for s in seconds] == ["4 ms", "1.3 s", "59.9 s", "3 min 12 s", "2 h 5 min"]


def test_effects(world: making.World) -> None:
    """What waited for people is told as held, though policy allowed it in the end."""
    found = [read(joined) for joined in making.session(world.state).exchanges()]
    assert [(e.effect, e.outcome) for e in found] == [
        ("mask", "completed"), ("mask", "completed"), ("hold", "completed"), ("block", "refused:blocked")
    ]  # fmt: skip
