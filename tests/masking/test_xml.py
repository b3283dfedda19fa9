"""XML and HTML, text by text."""

import contextlib
import re
import tracemalloc
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.stage import MaskError
from extproc.masking.structure.pieces import HELD
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import mask_whole
from tests.masking.fields import CARD, EMAIL, SSN, plan
from tests.masking.streams import PLAN, every_cut, planned, run


def _make(*keys: str, html: bool = False, **more: object) -> Callable[[], XmlStage]:
    made = plan(*keys, **more)  # type: ignore[arg-type]
    return lambda: XmlStage(made, html)


XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- from {EMAIL} -->
<people xmlns:p="urn:x" note='{CARD}'>
  <person mail="{EMAIL.replace("@", "&#64;")}" secret = "x" ssn='{SSN}' other="{SSN}"/>
  <p:ssn>{SSN}</p:ssn><b>{SSN}</b><p:ssn>a<b>{SSN}</b>{SSN}</p:ssn>
  <text>a &lt; b &amp; {EMAIL.replace("@", "&#x0040;").replace(".", "&period;")} &#8211; caf&#233; 4111&#160;1111
1111 1111&nbsp;1111 &#52;111 1111 1111 &#49;111.</text>
  <secret>
    <child>kept</child> gone &amp; all
  </secret>
  <ssn><![CDATA[{SSN}]]></ssn><secret><![CDATA[x ]] > y]]></secret>
  <?say {EMAIL}?><![CDATA[&#64; {EMAIL}]]>
</people>
"""
MASKED = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- from [masked:email] -->
<people xmlns:p="urn:x" note='[masked:card]'>
  <person mail="[masked:email]" secret = "[masked:key:secret]" ssn='[masked:ssn]' other="{SSN}"/>
  <p:ssn>[masked:ssn]</p:ssn><b>{SSN}</b><p:ssn>a<b>[masked:ssn]</b>[masked:ssn]</p:ssn>
  <text>a &lt; b &amp; [masked:email] &#8211; caf&#233; 4111&#160;1111
1111 1111&nbsp;1111 [masked:card].</text>
  <secret>
    <child>[masked:key:secret]</child> [masked:key:secret]</secret>
  <ssn><![CDATA[[masked:ssn]]]></ssn><secret><![CDATA[[masked:key:secret]]]></secret>
  <?say [masked:email]?><![CDATA[&#64; [masked:email]]]>
</people>
"""
COUNTS = {"email": 5, "card": 2, "key:secret": 3, "ssn": 5}


def test_names_are_context_and_keys_mask_texts_whole() -> None:
    """Of the element, the one around it, or of the attribute; everything else keeps its bytes."""
    out, counts = run(_make("Secret"), XML.encode())
    assert out.decode() == MASKED
    assert counts == COUNTS


def test_every_single_cut() -> None:
    """Cut at each offset, and byte by byte; read as HTML, too."""
    every_cut(_make("secret"), XML.encode())
    every_cut(_make("secret", html=True), XML.encode())
    every_cut(_make("secret", html=True), HTML.encode())


HTML = f"""<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html lang=en><head><SCRIPT src=a.js defer>if (a<b && "{EMAIL}") {{ x("</b>&#64;") }}</Script >
<body class = x data-mail={EMAIL} hidden data-x='"' checked>1 < 2 <br>{EMAIL.replace("@", "&#64")}<p>x
<ssn>{SSN}<br>{SSN}</SSN>{SSN} <input name=a value = {EMAIL}><input secret=abc/><secret>gone<i>kept</i></secret>
<img src="data:image/png;base64,{"QUJD" * 600}" alt="{CARD}"/> <a href="x?a=1&b=2&amp;c;">y</a></ body><!--{EMAIL}"""


def test_html_is_read_tolerantly() -> None:
    """Attributes without quotes, elements without end, scripts as text, an end anywhere."""
    out, counts = run(_make("secret", html=True), HTML.encode())
    expected = HTML.replace(EMAIL, "[masked:email]").replace(EMAIL.replace("@", "&#64"), "[masked:email]")
    expected = expected.replace(CARD, "[masked:card]").replace("abc/", "[masked:key:secret]")
    expected = expected.replace(f"<ssn>{SSN}<br>{SSN}", "<ssn>[masked:ssn]<br>[masked:ssn]")
    assert out.decode() == expected.replace("gone", "[masked:key:secret]").replace("kept", "[masked:key:secret]")
    assert counts == {"email": 5, "card": 1, "key:secret": 2, "ssn": 2}


M = "[masked:key:secret]"


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [
        ("<secret><a b='1'>2<c/>3</a>4</secret>5", f"<secret><a b='{M}'>{M}<c/>{M}</a>{M}</secret>5", 1),
        ("<secret a='1' b=\"2\"/><secret>3</secret>", f"<secret a='{M}' b=\"{M}\"/><secret>{M}</secret>", 2),
        ("<h:secret xmlns:h='urn:1' xml:lang='en'>1</h:secret>2",
         f"<h:secret xmlns:h='urn:1' xml:lang='en'>{M}</h:secret>2", 1),
        ("<secret>\n <a>\n1</a>\n</secret>", f"<secret>\n <a>\n{M}</a>\n</secret>", 1),
        ("<secret><![CDATA[1]]><!--2--><?a 3?><?b?></secret>",
         f"<secret><![CDATA[{M}]]><!--{M}--><?a {M}?><?b?></secret>", 1),
        ("<secret><secret>1</secret>2</secret><a>3</a>", f"<secret><secret>{M}</secret>{M}</secret><a>3</a>", 1),
        ("<secret/><a>1</a>", "<secret/><a>1</a>", 0),
        ("<secret></secret><a>1</a>", "<secret></secret><a>1</a>", 0),
        ("<a name='secret' value='1' x='2'>3<b>4</b></a>5",
         f"<a name='secret' value='{M}' x='2'>{M}<b>{M}</b></a>5", 2),
        ("<a value='1' key=' s&#101;cret '/><a>2</a>", f"<a value='{M}' key=' s&#101;cret '/><a>2</a>", 1),
        ("<a id='secret' value='1'>2</a>", f"<a id='secret' value='{M}'>2</a>", 1),
        ("<a name='x'><secret name='y'>1</secret></a>2", f"<a name='x'><secret name='{M}'>{M}</secret></a>2", 1),
        (f"<a name='ssn' value='{SSN}'>{SSN}</a>{SSN}", f"<a name='ssn' value='[masked:ssn]'>[masked:ssn]</a>{SSN}", 2),
        (f"<ssn value='{SSN}'><a b='{SSN}'>{SSN}</a></ssn>",
         f"<ssn value='[masked:ssn]'><a b='{SSN}'>[masked:ssn]</a></ssn>", 2),
        (f"<ssn><a><b>{SSN}</b></a></ssn>", f"<ssn><a><b>{SSN}</b></a></ssn>", 0),
    ],
)  # fmt: skip
def test_what_a_name_covers(text: str, expected: str, count: int) -> None:
    """A name that is selected, all that is in its element; a name that is context, also what is right inside. What an
    attribute calls another one is that one's name, or in XML the element's."""
    raw = f"<r>{text}</r>".encode()
    out, counts = run(_make("secret"), raw)
    assert (out.decode(), sum(counts.values())) == (f"<r>{expected}</r>", count)
    every_cut(_make("secret"), raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<input name=secret value=1>2", f"<input name=secret value={M}>2"),
        ("<INPUT Value='1' type=x ID='secret'>2", f"<INPUT Value='{M}' type=x ID='secret'>2"),
        ("<meta name=secret content=1><p>2", f"<meta name=secret content={M}><p>2"),
        ("<textarea name=secret>1<b></secret>2</textarea>3", f"<textarea name=secret>{M}</textarea>3"),
        ("<p name=secret>1</p>", "<p name=secret>1</p>"),
        ("<secret>1<p>2<br>3</SECRET>4", f"<secret>{M}<p>{M}<br>{M}</SECRET>4"),
        ("<secret>1</p></div>2<secret>3</secret>4</secret>5",
         f"<secret>{M}</p></div>{M}<secret>{M}</secret>{M}</secret>5"),
        ("<secret><script>1</secret>2</script>3</secret>4", f"<secret><script>{M}</script>{M}</secret>4"),
        ("<secret><input name=a value=1></secret>2", f"<secret><input name={M} value={M}></secret>2"),
        (f"<input value={'x' * 3000} name=secret>", f"<input value={M} name=secret>"),
        (f"<input name=a value='{'x' * 9000}'>", f"<input name=a value='{'x' * 9000}'>"),
    ],
)  # fmt: skip
def test_what_a_name_covers_in_html(text: str, expected: str) -> None:
    """As in XML, where elements end; attributes may call each other in any order."""
    assert run(_make("secret", html=True), text.encode())[0].decode() == expected
    if len(text) < 1000:
        every_cut(_make("secret", html=True), text.encode())


CUT = ["4111 1111", " 1111 1111"]
PEM = "-----BEGIN PRIVATE KEY-----\nQUJD{}REVG\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected", "counts"),
    [
        ("<!-- x -->".join(CUT), "[masked:card]<!-- x -->", {"card": 1}),
        (" x <!-- x -->".join(CUT), " x <!-- x -->".join(CUT), {}),
        ("<!--x--><!--y-->".join(CUT), "[masked:card]<!--x--><!--y-->", {"card": 1}),
        ("<?x y?>".join(CUT), "[masked:card]<?x y?>", {"card": 1}),
        ("<!---->".join(CARD), "[masked:card]" + "<!---->" * 18, {"card": 1}),
        ("a <!-- x -->b" + CARD + "<!-- y --> c", "a <!-- x -->b" + CARD + "<!-- y --> c", {}),
        (f"a <!-- x -->{CARD}<!-- y --> c", "a <!-- x -->[masked:card]<!-- y --> c", {"card": 1}),
        (f"{CARD}<!-- y -->1", f"{CARD}<!-- y -->1", {}),
        (f"<!-- {EMAIL} -->".join(CUT), "[masked:card]<!-- [masked:email] -->", {"card": 1, "email": 1}),
        ("<!-- 4111 -->".join(CUT), "[masked:card]<!-- 4111 -->", {"card": 1}),
        ("<!-- 4111 1111<?-->".join(CUT), "[masked:card]<!-- 4111 1111<?-->", {"card": 1}),
        ("jane<!--x-->&#64;<!--y-->example&#46;com", "[masked:email]<!--x--><!--y-->", {"email": 1}),
        ("jane&<!--x-->#64;example.com", "jane&<!--x-->#64;example.com", {}),
        (f"ssn<!--x--> {SSN}", "ssn<!--x--> [masked:ssn]", {"ssn": 1}),
        (f"ss<!--x-->n {SSN}", "ss<!--x-->n [masked:ssn]", {"ssn": 1}),
        (PEM.format("<!-- x -->"), "[masked:private-key]<!-- x -->", {"private-key": 1}),
        (f"{EMAIL}<!-- x --><b>{EMAIL}</b>", "[masked:email]<!-- x --><b>[masked:email]</b>", {"email": 2}),
        ("jane@<b>example.com</b>", "jane@<b>example.com</b>", {}),
        ("<b title='<!--'>jane@<!--x-->example.com</b>", "<b title='<!--'>[masked:email]<!--x--></b>", {"email": 1}),
        ("\n <!--x-->\n <b>c</b><!--y-->d\n", "\n <!--x-->\n <b>c</b><!--y-->d\n", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("html", [False, True])
def test_a_text_goes_on_behind_what_is_no_part_of_it(
    text: str, expected: str, counts: dict[str, int], html: bool
) -> None:
    """A value is one whatever comments and instructions stand in it, and they stay; with context from before them."""
    raw = f"<a>{text}</a>".encode()
    assert run(_make(html=html), raw) == (f"<a>{expected}</a>".encode(), counts)
    every_cut(_make(html=html), raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane@<![CDATA[example.com]]>", "[masked:email]<![CDATA[]]>"),
        ("<![CDATA[jane@]]>example.com", "<![CDATA[[masked:email]]]>"),
        ("x <![CDATA[y jane@]]><![CDATA[example.com z]]>", "x <![CDATA[y [masked:email]]]><![CDATA[ z]]>"),
        ("jane&#64;<!--<![CDATA[--><![CDATA[example]]>.com", "[masked:email]<!--<![CDATA[--><![CDATA[]]>"),
        ("<![CDATA[jane&#64;]]>example.com", "<![CDATA[jane&#64;]]>example.com"),
        (f"<![CDATA[ssn]]>\n{SSN}", "<![CDATA[ssn]]>\n[masked:ssn]"),
        (f"<![CDATA[{EMAIL}]><b>]]>", "<![CDATA[[masked:email]] ><b>]]>"),
        (f"{EMAIL}]>", "[masked:email]] >"),
        (f"{EMAIL}] >]", "[masked:email]] >]"),
        (f"{EMAIL}]]", "[masked:email]]]"),
        (f"{EMAIL}]<!-- x -->> {EMAIL}<!-- x -->]>", "[masked:email]]<!-- x -->> [masked:email]<!-- x -->]>"),
        (f"<![CDATA[{EMAIL}]]", MaskError),
    ],
)
def test_cdata_is_text(text: str, expected: str | type[MaskError]) -> None:
    """But that it has no entities."""
    raw = f"<a>{text}</a>".encode()
    if not isinstance(expected, str):
        for step in range(1, len(raw)):
            with pytest.raises(expected):
                run(_make(), raw, range(0, len(raw), step))
        assert run(_make(lenient=True), raw)[0] == b"<a><![CDATA[[masked:email]]]</a>"
        return
    assert run(_make(), raw)[0].decode() == f"<a>{expected}</a>"
    every_cut(_make(), raw)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Operator.PARTIAL, "**** <!-- x -->**** **** 1111"),
        (Operator.LENGTH, "*********<!-- x -->**********"),
        (Operator.HASH, "<!-- x -->[masked:card:6f1c]"),
    ],
)
def test_what_stands_in_a_value_stays_in_its_mask(operator: Operator, expected: str) -> None:
    """Where as much of the mask was written as was certain."""
    make = _make(operators={"card": operator})
    raw = f"<a>{'<!-- x -->'.join(CUT)}</a>".encode()
    out, counts = run(make, raw)
    assert re.sub(r":[0-9a-f]{16}", ":6f1c", out.decode()) == f"<a>{expected}</a>"
    assert counts == {"card": 1}
    every_cut(make, raw)


@pytest.mark.parametrize("html", [False, True])
def test_a_long_comment_in_what_may_be_a_value(html: bool) -> None:
    """Waits up to a bound; where no value can be unfinished it goes on at once, however long it is."""
    make = _make(html=html)

    def document(before: str, size: int) -> bytes:
        return f"<a>{before}<!--{'- ' * (size // 2)}--> 1111 1111</a>".encode()

    short = document("4111 1111", HELD - 100)
    assert run(make, short)[0] == b"<a>[masked:card]" + short[12:-14] + b"</a>"
    for step in (97, 4096, 10**6):
        raw = document("4111 1111", HELD)
        with pytest.raises(MaskError, match="32 KiB"):
            run(make, raw, range(step, len(raw), step))
        raw = document("ssn;", 3 * HELD)
        assert run(make, raw, range(step, len(raw), step)) == (raw, {})
    stage = make()
    assert stage.feed(document("ssn;", 3 * HELD)[:-14]).startswith(b"<a>ssn;<!--- - -")


def test_of_several_texts_under_a_name_one_is_shown_in_part() -> None:
    """Together they would show too much."""
    make = _make("secret", operators={"key:secret": Operator.PARTIAL})
    text = b"<r><secret a='12345678'>12345678<b>12345678</b></secret><secret>12345678</secret></r>"
    expected = f"<r><secret a='****5678'>{M}<b>{M}</b></secret><secret>****5678</secret></r>"
    assert run(make, text) == (expected.encode(), {"key:secret": 2})


JOINTS = ["<!---->", "jane@", "example.com", *CUT]
_PIECES = [
    "<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", *JOINTS, "<?", "?>", "<!DOCTYPE", "[", "a", "ssn",
    "secret", "=",
    '"', "'", " ", "\n", "&", "#", "64", ";", "&#64;", "&amp;", "<ssn>", "</ssn>", "<secret>", "<a b='", "<a>", "</a>",
    '<a b="', SSN, CARD, EMAIL, "é",
    " name=secret", " value=", "<script>", "</script", "x" * 1030, "-----BEGIN PRIVATE KEY-----", "</é",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=16).map("".join), st.booleans(), st.booleans())
def test_cuts_do_not_matter(text: str, lenient: bool, html: bool) -> None:
    """Whatever comes, well-formed or not, is masked or refused the same way in one piece and in many."""
    raw = text.encode()

    def outcome(keys: list[str], cuts: range) -> object:
        try:
            return run(_make(*keys, lenient=lenient, html=html), raw, cuts)
        except MaskError:
            return MaskError

    for keys in ([], ["secret", "a"]):
        assert outcome(keys, range(1, len(raw))) == outcome(keys, range(0)) == outcome(keys, range(0, len(raw), 11))
    if lenient:
        assert outcome([], range(0)) is not MaskError


_texts = st.sampled_from(["", "a & b", EMAIL, f"<{CARD}>", 'q"q', "é", " "])
_tags = st.sampled_from(["a", "b", "x:c"])
_trees: st.SearchStrategy[list[Any]] = st.recursive(
    st.just([]), lambda inner: st.lists(st.tuples(_tags, _texts, _texts, inner)), max_leaves=8
)


def _written(trees: list[Any]) -> str:
    return "".join(f"<{n} v={quoteattr(v)}>{escape(t)}{_written(inner)}</{n}>{escape(t)}" for n, v, t, inner in trees)


_asides = st.lists(st.sampled_from(["<!-- x -->", "<?x y?>", "<![CDATA[", "<!--<![CDATA[-->"]), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["a", " ", "1", *EMAIL.split("@"), "@", *CUT, "ssn ", SSN]), _asides)))
def test_a_reader_reads_no_value_that_was_cut(pieces: list[tuple[str, list[str]]]) -> None:
    """The text that Python's reader puts together of what comes out is the one before, masked as a text."""
    document = ""
    for text, asides in pieces:
        document += text + "".join("<![CDATA[]]>" if aside == "<![CDATA[" else aside for aside in asides)
        if "<![CDATA[" in asides:
            document += f"<![CDATA[{text}]]>"
    document = f"<r>{document}</r>"

    def read(text: str) -> str:
        return ElementTree.fromstring(text).text or ""  # noqa: S314 - it is ours

    out, counts = run(_make(), document.encode())
    assert (read(out.decode()), counts) == mask_whole(plan(), read(document))
    assert run(_make(), document.encode(), range(1, len(document))) == (out, counts)


@given(_trees)
def test_what_a_reader_reads_is_masked_and_nothing_else(trees: list[Any]) -> None:
    """The document that Python's reader finds behind the stage is the one before it, with masks in its texts."""

    def read(document: str) -> list[object]:
        root = ElementTree.fromstring(document)  # noqa: S314 - it is ours
        return [(e.tag, e.get("v"), e.text, e.tail) for e in root.iter()]

    text = f"<r xmlns:x='urn:x'>{_written(trees)}</r>"
    masked = text.replace(EMAIL, "[masked:email]").replace(CARD, "[masked:card]")
    assert read(run(_make(), text.encode())[0].decode()) == read(masked)


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE a [<!ENTITY x "{EMAIL}">]><a>&x;</a> {EMAIL} ',
        f"<!doctype a SYSTEM 'x' [ {EMAIL} ",
        f"<{'a' * 1100} {EMAIL} ",
        f"<a {'b' * 1100}='{EMAIL} '>",
        f"<a {' ' * 1100}> {EMAIL} ",
    ],
)
def test_what_hides_values_is_refused_or_text(text: str) -> None:
    """A document's own entities may stand for anything; names are of some length. In text there are no elements."""
    for cuts in (range(0), range(1, len(text))):
        with pytest.raises(MaskError):
            run(_make(), text.encode(), cuts)
        with pytest.raises(MaskError):
            run(_make("a", lenient=True), text.encode(), cuts)
        assert run(_make(lenient=True), text.encode(), cuts)[0].decode() == text.replace(EMAIL, "[masked:email]")


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(
    "text", ["<a>{}</a>", "<a b='{}'/>", "<!-- {} --><a/>", "<a/><?p {}?>", "<a>b<![CDATA[{}]]></a>"]
)
def test_a_character_that_is_spelt_with_too_many_digits(text: str, html: bool) -> None:
    """Nobody waits for what it is, so it is refused; where there are no such characters it is a text like any other."""
    raw = text.format(f"&#x{'f' * 24}20; {EMAIL} ").encode()
    meant = "<a>{}" in text or "b='" in text
    for cuts in (range(0), range(1, len(raw)), range(30, len(raw), 30)):
        try:
            out = run(_make(html=html), raw, cuts)[0]
        except MaskError:
            assert meant
        else:
            assert not meant
            assert EMAIL.encode() not in out


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("text", ["<{}/>", "<a></{}>", "<a {}='b'/>", "<a {}/>", "<secret><?{} b?></secret>"])
def test_a_name_is_so_long_at_most(text: str, html: bool) -> None:
    """However much of it comes at a time."""
    for size, fits in ((1000, True), (1030, False)):
        raw = text.format("n" * size).encode()
        for cuts in (range(0), range(1, len(raw)), range(400, len(raw), 400)):
            with nullcontext() if fits else pytest.raises(MaskError, match="a name of more than 1 KiB"):
                run(_make("secret", html=html), raw, cuts)


@pytest.mark.parametrize("text", ["<a", "<a b", "<a b='c", "<!-- a", "<![CDATA[a]]", "<?a", "<a b='", "<!DOCTYPE a"])
def test_an_end_inside_a_tag(text: str) -> None:
    """XML may not end there; of HTML, and where policy says so, what is there is masked."""
    with pytest.raises(MaskError):
        run(_make(), f"<r>{text} {EMAIL}".encode())
    for make in (_make(lenient=True), _make(html=True), _make("b", html=True)):
        assert EMAIL.encode() not in run(make, f"<r>{text} {EMAIL}".encode())[0]


@pytest.mark.parametrize(
    ("raw", "taken"),
    [
        (b"\xef\xbb\xbf<?xml version='1.0' encoding = 'UTF-8' ?><a/>", True),
        (b"<?xml version='1.0' encoding='iso-8859-15'?><a/>", True),
        (b"<?xml version='1.0'?><a/>", True),
        (b"<a/>", True),
        (b"", True),
        (b"<?xml version='1.0' encoding='utf-16'?><a/>", False),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", False),
        ("<a/>".encode("utf-16"), False),
        ("<a/>".encode("utf-16-le"), False),
        ("<a/>".encode("utf-32-be"), False),
    ],
)
def test_encodings(raw: bytes, taken: bool) -> None:
    """A document says it itself."""
    if taken:
        every_cut(_make(), raw)
        assert run(_make(), raw) == (raw, {})
        return
    for lenient in (False, True):
        with pytest.raises(MaskError):
            run(_make(lenient=lenient), raw, range(1, len(raw)))


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Operator.NULL, "<secret a=''/><secret></secret><a>[masked:email]</a>"),
        (Operator.DROP, "<secret a=''/><secret></secret><a>[masked:email]</a>"),
        (Operator.LENGTH, "<secret a='***'/><secret>*****</secret><a>****************</a>"),
    ],
)
def test_operators(operator: Operator, expected: str) -> None:
    """What a name selects is emptied; what is found in a text is redacted instead. Lengths are of what is meant."""
    make = _make("secret", "a:a", operators={"key:secret": operator, "key:a:a": operator, "email": operator})
    text = f"<secret a='x&amp;y'/><secret>1&lt;2&gt;3</secret><a>{EMAIL}</a>".replace(" a=", " a:a=").encode()
    every_cut(make, text)
    assert run(make, text)[0].decode().replace("a:a", "a") == expected


def test_a_mask_does_not_end_its_text() -> None:
    """Whatever name policy gives."""
    assert run(_make("a<b>&\"'"), b"<x a<b>&\"'='1'/>")[0] == b"<x a<b>&\"'='1'/>"
    assert run(_make("a&'"), b"<a&'>1</a&'>")[0] == b"<a&'>[masked:key:a??]</a&'>"


@pytest.mark.parametrize("where", ["<a>{}</a>", "<a b='{}'/>", '<a b="{}" c="d">', "<a>\n{}\n</a>"])
def test_rules_that_mind_what_stands_beside_a_value(where: str) -> None:
    """To them, a text or value is a line of its own."""
    other = r"'\x00-\x09\x0b-\xff'"
    made = planned(f"kind: line, pattern: 'pw: [a-z]{{8}}', before: {other}, after: {other}")
    text = f"<r><x>clean</x>{where.format('pw: abcdefgh')}<y>clean</y></r>".encode()
    assert run(lambda: XmlStage(made), text) == (text.replace(b"pw: abcdefgh", b"[masked:line]"), {"line": 1})


def test_deep_documents() -> None:
    """Names are known to a depth, and the innermost at any."""
    text = "<x>" * 500 + f"<ssn>{SSN}</ssn>" + "</x>" * 500 + f"<ssn>{SSN}</ssn>"
    assert run(_make(), text.encode())[1] == {"ssn": 2}


@pytest.mark.parametrize(
    "begin", ["<a>", "<a b='", "<a>4111<!--", "<a><![CDATA[", "<a><?", "<secret>", "<a secret='", "<a ", "<a>4111"]
)
@pytest.mark.parametrize(
    "filler",
    ["a" * 999, "<b>" * 300, "&" * 999, "&#64;" * 200, "<" * 999, "- ]? " * 200, " c=d" * 250, "<!---->" * 140],
)
def test_memory_is_bounded(begin: str, filler: str) -> None:
    """Texts, values, sections and the number of attributes may be of any length."""
    stage = _make("secret", lenient=True, html=True)()
    stage.feed(begin.encode())
    tracemalloc.start()
    with contextlib.suppress(MaskError):
        for _ in range(200):
            stage.feed(filler.encode())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<password>Xy7>q2#k</password>", "<password>[masked:password]</password>"),
        ("<client_secret>Qx7Rt>9fLmZ2</client_secret>", "<client_secret>[masked:secret-assignment]</client_secret>"),
        ("<password>x]]>; </password>", "<password>[masked:password]</password>"),
        ("<p>a -> b</p><password>Xy7>q2#k</password>", "<p>a -> b</p><password>[masked:password]</password>"),
        ("<i>a<\x060<client_secret>Qx7Rt9fLmZ2</client_secret>", None),
    ],
)
def test_an_angle_bracket_in_a_text_ends_none(text: str, expected: str | None, html: bool) -> None:
    """`>` may stand in a text as it is, and `<` before what begins no name; however the text comes, it is one value."""
    every_cut(lambda: XmlStage(PLAN, html), text.encode())
    out = run(lambda: XmlStage(PLAN, html), text.encode())[0]
    assert out == expected.encode() if expected is not None else b"Qx7R" not in out


@pytest.mark.parametrize(
    ("html", "text", "expected"),
    [
        (False, "<password><![CDATA[Xy>7<q2#k]]></password>", "<password><![CDATA[[masked:password]]]></password>"),
        (True, "<token><![CDATA[nter2!x]]></token>", "<token><![CDATA[[masked:secret-assignment]></token>"),
        (False, "<a><!--secret='a1=?>&amp;--> </a>", None),
        (True, "<secret></!9Q->-a1!></secret>", None),
    ],
)
def test_a_section_is_the_same_however_it_comes(html: bool, text: str, expected: str | None) -> None:
    """What ends a section may be a part of what one look at all of a buffer takes for it."""
    every_cut(lambda: XmlStage(PLAN, html), text.encode())
    assert expected is None or run(lambda: XmlStage(PLAN, html), text.encode())[0] == expected.encode()
