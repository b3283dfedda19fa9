"""What an approver reads is all that goes on: for every protocol, whatever code hides in what a rule matches."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extproc.domain.action import Unrenderable
from extproc.domain.grant import Lane
from extproc.domain.mask import Mask, Operator
from extproc.domain.target import Inspect, Protocol, Target
from extproc.masking.shipped import knowledge
from extproc.protocols.postgres.action import Asked, Scene, action_of, connecting
from extproc.protocols.postgres.sql import read
from extproc.protocols.postgres.surroundings import Surroundings
from extproc.protocols.session import Decide, Head, HeadReceived
from extproc.protocols.tunnel.session import TunnelSession
from tests.approvals.rendering import code, hidden, texts
from tests.http.playbook import ALICE, ALL_MASKS, KEY, grant, head, play, request

Draw = Callable[[st.SearchStrategy[Any]], Any]
KNOWN = knowledge()
BILLS = "DELETE FROM bills WHERE id=4/*password=*/or/**/id>1"
NOTES = (Mask("p", ("email", "password"), ("note",), Operator.REDACT, ("request",)),)
DATABASE = Target("crm-db", Protocol.POSTGRES, "production")
TEMPLATES = [
    "{}", "SELECT 1 -- {}", "SELECT 1 /* {} */", "SELECT '{}' FROM bills", "SELECT $${}$$", "DO $x${}$x$",
    "SELECT E'{}'", 'SELECT "{}"', "DELETE FROM bills WHERE id=4{}", "SELECT 'a'\n'{}'", "SELECT '{}'::text",
    "SELECT U&'{}' UESCAPE '!'", "SELECT 4/*{}*/or/**/id>1", "UPDATE b SET password='{}' WHERE id>1",
    "SELECT dblink('{}')",
]  # fmt: skip


def scene(**changes: Any) -> Scene:
    """Where a statement runs."""
    return Scene(
        ALICE,
        DATABASE,
        **{"database": "crm", "user": "app", "role": "none", "search_path": "public"} | changes,
        around=Surroundings((), (), (), "0"),
    )


def rendered(sql: str, *values: Any, behind: tuple[str, ...] = (), masks: tuple[Mask, ...] = NOTES, **at: Any) -> str:
    """What an approver reads of a statement."""
    asked = Asked(sql, read("SELECT 1"), values, behind=behind)
    return action_of(asked, scene(**at), KNOWN, KEY).render(masks)


def statement(draw: Draw) -> None:
    """Every token of a statement that is no constant and no comment is shown, where it stands."""
    sql = draw(st.sampled_from(TEMPLATES)).format(draw(texts)).replace("\0", "")
    value, behind = draw(texts), draw(st.sampled_from(["", BILLS, "SELECT 'x'"]))
    places = code(sql)
    try:
        text = rendered(sql, value, behind=(behind,) if behind else ())
    except Unrenderable:
        return
    assert places is not None, sql
    first, _, rest = text.partition("\n")
    assert first == first_line(sql)
    ends = [f"\n-- $1 = {bound}" for bound in [rest[rest.rindex("\n-- $1 = ") + 9 :].partition("\n")[0]]]
    tail = ends[0] + (f"\n-- which stands for\n{behind}" if behind else "")
    assert rest.endswith(tail)
    hidden(value, json.loads(ends[0][9:]), alone=True)
    for start, end in hidden(sql, rest.removesuffix(tail), alone=True):
        assert not any(a < end and start < b for a, b in places), (sql, text)


def first_line(sql: str) -> str:
    """What stands above a statement."""
    lines = f", {sql.count(chr(10)) + 1} lines" if "\n" in sql else ""
    return f"-- database crm, user app, role none, search_path public, transaction idle{lines}"


def connection(draw: Draw) -> None:
    """Each setting that a client wants for its connection is shown."""
    wanted = draw(st.lists(st.tuples(texts, texts), max_size=3))
    shown = connecting(scene(), wanted, KEY).render(NOTES).split("\n")
    assert shown[0] == "CONNECT to crm"
    assert len(shown) == len(wanted) + 2
    for (name, value), line in zip(wanted, shown[1:-1], strict=True):
        setting, _, quoted = line.removeprefix("SET ").rpartition(f" = {json.dumps(value, ensure_ascii=False)}")
        assert quoted == ""
        assert setting in (name, json.dumps(name, ensure_ascii=False))


def tunnel(draw: Draw) -> None:
    """The destination is all that there is to show."""
    host = draw(texts).replace("\n", "")
    target = Target("bank", Protocol.TUNNEL, "production", Inspect.OPAQUE)
    connect = Head(((":method", "CONNECT"), (":authority", f"{host}:443")))
    (asked,) = TunnelSession(target, ALICE, KEY).handle(HeadReceived(Lane.REQUEST, connect, False))
    assert isinstance(asked, Decide)
    assert asked.action.render(NOTES).startswith(f"CONNECT {host.lower()}:443\n")


def http(draw: Draw) -> None:
    """Of what goes on under the masks, all but words is shown; in JSON names and structure are."""
    kind, data = draw(bodies(texts))
    masks = draw(st.sampled_from([(), NOTES, ALL_MASKS]))
    path, query = quote(draw(texts), safe="/*();=:@!,'"), quote(draw(texts), safe="/*();=:@!,'&")
    note = re.sub(r"[^\x20-\x7e]", "", draw(texts))
    p = play(limit=1 << 20)
    p.feed(*request(head("POST", f"/{path}?{query}", ("content-type", kind), ("x-note", note)), data))
    assume(any(isinstance(c, Decide) for c in p.commands))
    try:
        text = p.asked.action.render(masks)
    except Unrenderable:
        return
    (sent, *_) = p.decided(grant(masks))
    shown, blank, rest = text.partition("\n\n")
    on = p.sent(Lane.REQUEST).decode()
    first, *lines = shown.split("\n")
    hidden(f"POST /{path}?{query}", first, alone=True)
    changed = dict(sent.set).get("x-note", note)  # type: ignore[union-attr]
    (line,) = [line for line in lines if line.startswith("x-note: ")]
    hidden(changed, line.removeprefix("x-note: "), alone=True)
    assert bool(blank) is bool(data)
    places = hidden(on, rest, alone=True)
    assert not any(a < end and start < b for a, b in names(on, kind) for start, end in places), (on, rest)


def names(text: str, kind: str) -> list[tuple[int, int]]:
    """Where the names of members are, in JSON."""
    return [m.span() for m in re.finditer(r'"(?:[^"\\]|\\.)*"\s*:', text)] if "json" in kind else []


KINDS = [
    *("application/json", "application/x-www-form-urlencoded", "text/plain", "text/csv", "application/xml", ""),
    *("multipart/form-data; boundary=b", "application/x-ndjson", "application/yaml"),
]


@st.composite
def bodies(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, bytes]:
    """A content type, and a body of it that has some of these texts."""
    one, two = draw(texts), draw(texts)
    named = draw(st.sampled_from(["sql", "password", "note", "cmd", "ssn", one]))
    kind = draw(st.sampled_from(KINDS))
    document = json.dumps({named: one, "x": [two, {"y": one}, 4111111111111111]}, ensure_ascii=draw(st.booleans()))
    match kind:
        case "application/json":
            text = document
        case "application/x-ndjson":
            text = f"{document}\n{document}\n"
        case "application/x-www-form-urlencoded":
            text = f"{quote(named)}={quote(one, safe=draw(st.sampled_from(['', '/*();=:'])))}&x={quote(two)}"
        case "multipart/form-data; boundary=b":
            text = f'--b\r\ncontent-disposition: form-data; name="note"\r\n\r\n{one}\r\n--b--\r\n'
        case "application/xml":
            text = f"<a><b>{one}</b></a>"
        case "text/csv":
            text = f"id,note\n1,{one}\n"
        case _:
            text = draw(st.sampled_from([one, document]))
    return kind, text.encode("utf-8", "replace")


RENDERERS: dict[Protocol, list[Callable[[Draw], None]]] = {
    Protocol.POSTGRES: [statement, connection],
    Protocol.TUNNEL: [tunnel],
    Protocol.HTTP: [http],
}
"""What shows of each protocol that its text is all that goes on."""


def test_every_protocol_takes_part() -> None:
    """A new protocol has to be added here before anything of it can be approved."""
    assert set(RENDERERS) == set(Protocol)


@pytest.mark.parametrize("check", [check for checks in RENDERERS.values() for check in checks])
def test_what_is_rendered_is_all_that_goes_on(check: Callable[[Draw], None]) -> None:
    """Whatever a rule matches, and whatever hides in it."""

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check(data.draw)

    run()


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        (BILLS, BILLS),
        ("SELECT 'card 4111 1111 1111 1111'", "SELECT 'card [masked:card]'"),
        ("SELECT 4111111111111111", "SELECT [masked:card]"),
        ("ALTER ROLE r PASSWORD 'hunter2x9'", "ALTER ROLE r PASSWORD '[masked:password]'"),
        ("SELECT 1 WHERE password = 'or 1=1 or'", "SELECT 1 WHERE password = 'or 1=1 or'"),
        ("SELECT 1 WHERE password=column12", "SELECT 1 WHERE password=column12"),
        ('SELECT "ghp_abcdefghijABCDEFGHIJ0123456789abcdef"', 'SELECT "ghp_abcdefghijABCDEFGHIJ0123456789abcdef"'),
        (f"DO $$ BEGIN {BILLS}; END $$", f"DO $$ BEGIN {BILLS}; END $$"),
        (f"SELECT dblink('{BILLS}')", f"SELECT dblink('{BILLS}')"),
        ("SELECT 1 /* 4111111111111111 */ -- é", "SELECT 1 /* [masked:card] */ -- é"),
        ("SELECT 'é', 'Bearer abcDEF123456abcDEF'", "SELECT 'é', '[masked:bearer]'"),
        ("SELECT '-----BEGIN PRIVATE KEY-----\nDROP\n-----END PRIVATE KEY-----'",) * 2,
    ],
)
def test_a_statement_is_shown_but_for_values(sql: str, shown: str) -> None:
    """Values in constants and comments are hidden; names and whatever could run are not."""
    assert rendered(sql, masks=ALL_MASKS).partition("\n")[2] == shown


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT /* open", "SELECT $$open", 'SELECT "open', "SELECT \ud800"])
def test_a_statement_without_tokens_can_not_be_approved(sql: str) -> None:
    """Nobody could say where a constant ends."""
    with pytest.raises(Unrenderable):
        rendered(sql)


def test_lines_of_a_statement_are_told_from_ours() -> None:
    """A text may have lines that look like values, and a name may have lines."""
    text = rendered('SELECT $1\n-- $1 = "4"', "5", user="app\nDELETE", behind=("a\nb",))
    assert text.split("\n") == [
        '-- database crm, user "app\\nDELETE", role none, search_path public, transaction idle, 2 lines',
        "SELECT $1", '-- $1 = "4"', '-- $1 = "5"', "-- which stands for, 2 lines", "a", "b",
    ]  # fmt: skip


FORM = "application/x-www-form-urlencoded"
BODIES = [
    ({"sql": BILLS}, {"sql": BILLS}),
    ({"cmd": "echo password=$(rm -rf /)"}, {"cmd": "echo password=$(rm -rf /)"}),
    ({"password": "hunter2x9"}, {"password": "[masked:password]"}),
    ({"password": "x1;rm -rf /"}, {"password": "x1;rm -rf /"}),
    ({"note": "password=hunter2x9"}, {"note": "password=hunter2x9"}),
    ({"note": "card 4111 1111 1111 1111\nok"}, {"note": "card [masked:card]\nok"}),
    ({"4111111111111111": 1}, {"4111111111111111": 1}),
    ({"a": [{"password": "hunter2x9"}, "column12"]}, {"a": [{"password": "[masked:password]"}, "column12"]}),
    ({"dsn": "postgres://u:or/**/id@h/db"}, {"dsn": "postgres://u:or/**/id@h/db"}),
]


@pytest.mark.parametrize(("sent", "shown"), BODIES)
def test_json_is_shown_but_for_values(sent: object, shown: object) -> None:
    """A value is hidden as a whole, or as a word that can be no code; names and structure are shown."""
    p = play()
    p.feed(*request(head("POST", "/x", ("content-type", "application/json")), json.dumps(sent).encode()))
    assert json.loads(p.asked.action.render(()).partition("\n\n")[2]) == shown


TOKEN = "ASSEMBLYAI_KEY=0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d"
HIDDEN = "ASSEMBLYAI_KEY=[masked:assemblyai-key]"


@pytest.mark.parametrize(
    ("kind", "sent", "shown"),
    [
        (FORM, "password=hunter2x9&c=4111+1111+1111+1111", "password=[masked:password]&c=[masked:card]"),
        (FORM, "password=a%3Brm+x1&q=1", "password=a%3Brm+x1&q=1"),
        ("text/plain", BILLS, BILLS),
        ("text/xml", "<a password='*/or/**/id1'>4111111111111111</a>", "<a password='*/or/**/id1'>[masked:card]</a>"),
        ("text/csv", "password,x\n*/or/**/id1,2", "password,x\n*/or/**/id1,2"),
        ("application/x-ndjson", f'{{"{TOKEN}": 1}}\n["{TOKEN}"]', f'{{"{TOKEN}": 1}}\n["{HIDDEN}"]'),
        ("application/json-seq", f'\x1e{{"{TOKEN}": 1}}\n\x1e{{}}', f'\x1e{{"{TOKEN}": 1}}\n\x1e{{}}'),
    ],
)  # fmt: skip
def test_other_bodies_are_shown_but_for_values(kind: str, sent: str, shown: str) -> None:
    """The same, whatever the type."""
    p = play()
    p.feed(*request(head("POST", "/x", ("content-type", kind)), sent.encode()))
    assert p.asked.action.render(()).partition("\n\n")[2] == shown


def test_addresses_are_shown_as_they_go_on() -> None:
    """A mask does not change them, so it hides nothing of them."""
    p = play()
    p.feed(*request(head("POST", "/q/password=*/or/**/id1?note=a;b&c=4111111111111111"), b""))
    line = p.asked.action.render((*NOTES, *ALL_MASKS))
    assert line == "POST /q/password=*/or/**/id1?note=a;b&c=[masked:card]"


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("cookie", "a=1; b=x1y2", True),
        ("cookie", "a=$(rm)", False),
        ("x-api-key", "k", True),
        ("x-api-key", "a; DROP TABLE x", False),
        ("authorization", "Digest username='a b c'", True),
    ],
)
def test_a_header_that_is_not_shown_holds_nothing_but_credentials(name: str, value: str, fine: bool) -> None:
    """What goes on and is more than that can't be approved. `authorization` never goes on."""
    p = play()
    p.feed(*request(head("POST", "/x", (name, value)), b""))
    if fine:
        assert f"{name}: (not shown)" in p.asked.action.render(())
    else:
        with pytest.raises(Unrenderable):
            p.asked.action.render(())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TEMPLATES), texts)
def test_records_have_all_code_of_a_statement(template: str, text: str) -> None:
    """They may hide more of constants and comments, and nothing beside them."""
    sql = template.format(text).replace("\0", "")
    places = code(sql)
    if places is None or len(sql) > 900:
        return
    summary = action_of(Asked(sql, read("SELECT 1")), scene(), KNOWN, KEY).summary
    shown = str(summary["statement"])
    at = 0
    for start, end in places:
        found = shown.find(sql[start:end], at)
        assert found >= 0, (sql, shown)
        at = found + end - start
