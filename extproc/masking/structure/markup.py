"""What XML and HTML are made of: entities, names, and what begins and ends with which marks."""

import re
from collections.abc import Iterator
from html.entities import html5
from typing import NamedTuple

from extproc.masking.engine._re2 import Pattern
from extproc.masking.structure.mapped import Spelling

NAME = 1 << 10
"""Bytes of a name with the blanks and marks around it, at most."""

_NONE = "\ufffd"  # what HTML takes a number for that is no character's
_SPACES = frozenset("\x20\xa0")  # for whoever reads it, a space that does not break is one


def _meaning(sequence: bytes) -> bytes:
    text = sequence[1:].rstrip(b";").decode("ascii")
    if text[0] == "#":
        code = int(text[2:], 16) if text[1] in "xX" else int(text[1:])
        meant = chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else _NONE
    else:
        meant = html5.get(text + ";", _NONE)
    return b" " if meant in _SPACES else meant.encode()


ENTITIES = Spelling(
    b"&",
    # HTML does without the semicolon of a number, and of a space.
    rb"&(?:#[xX][0-9a-fA-F]{1,20};?|#[0-9]{1,20};?|nbsp;?|[A-Za-z][0-9A-Za-z]{1,30};)",
    rb"&(?:#(?:[xX]?[0-9a-fA-F]{0,20})|[A-Za-z][0-9A-Za-z]{0,30})?\Z",
    33,
    _meaning,
    rb"&#[xX]?[0-9a-fA-F]{21}",
)

UNSAFE = b"<>&\"'"
"""What a mask may not have, or it would end its text or its attribute."""

UNSAFE_BARE = UNSAFE + b" \t\r\n\f=`"
"""What it may not have where there are no quotes."""

OPENINGS = re.compile(rb"<(?=[A-Za-z_:/!?\x80-\xff]|\Z)"), re.compile(rb"<(?=[A-Za-z/!?]|\Z)")
"""Markup, or what may become it, of XML and of HTML; any other `<` is a character."""

# In these a second group, or what follows the match, is only looked at: what is decided depends on it.
TAG = re.compile(rb"<(?:/([^\s/>]*)|([^\s/>]+))(?=[\s/>])")
TAG_END = re.compile(rb"([\s/]*)>")
ATTRIBUTE = re.compile(rb"""[\s/]*([^\s/>][^\s/>=]*)\s*=\s*(["']|(?=[^\s"'>]))""")
EMPTY = re.compile(rb"[\s/]*[^\s/>][^\s/>=]*\s*=\s*(?=>)")
BARE = re.compile(rb"[\s/]*[^\s/>][^\s/>=]*(?=(\s+[^\s=]|[/>]))")
TARGET = re.compile(rb"<\?[^\s?>]*(?=[\s?>])")
ANGLE = re.compile(rb"[<>]")
NAMES = re.compile(rb"<([^\s/<>]+)|[\s/]([^\s/>=\"'<]+)[\s]*=")
"""What may be the name of an element or attribute, and all that is; but for what has an angle bracket in it."""

CALLS = (b"name", b"key", b"id")
"""Attributes whose value is a name for what another one has, the first two also for what the element has."""

CALLED = (b"value", b"content")
"""That other one."""

CALLINGS = re.compile(rb"""(?i)[\s/:](?:name|key|id)\s*=\s*(?=(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)))""")
"""Where there may be such a name, and all that are."""

_PAIR = re.compile(rb"[\s/]*([^\s/>][^\s/>=]*)(\s*=\s*)?")
_PAIRED = re.compile(rb"""(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)(?=[\s>])|(?=>))""")


def local(raw: bytes) -> bytes:
    """A name without its prefix, in lower case."""
    return raw.rpartition(b":")[2].lower()


def calls(buffer: bytes, at: int, limit: int) -> tuple[dict[bytes, bytes], bool]:
    """What the attributes of CALLS have that stand behind `at` in a tag and before `limit`, and whether the tag ends
    before it."""
    found: dict[bytes, bytes] = {}
    while pair := _PAIR.match(buffer, at, limit):
        at = pair.end()
        if pair[2] is None:
            continue
        value = _PAIRED.match(buffer, at, limit)
        if value is None:
            return found, False
        at = value.end()
        if (name := local(pair[1])) in CALLS:
            found.setdefault(name, value[value.lastindex or 0])
    return found, TAG_END.match(buffer, at, limit) is not None


def meant(called: bytes) -> bytes:
    """A name that is an attribute's value."""
    return ENTITIES.decode(called).strip()


def declares(raw: bytes) -> bool:
    """Whether what an attribute has is no text but says how the document is read."""
    return raw == b"xmlns" or raw.startswith((b"xmlns:", b"xml:"))


_BLANK = r"\t-\r\x20"  # what Python calls blank; RE2 leaves out one of them
_NAME = rf"[^<>\x22'={_BLANK}/]{{1,64}}"
_GAP = rf"[{_BLANK}/]"
_QUOTED = rf"{_NAME}(?:=(?:\x22[^\x22]*\x22|'[^']*'))?"
# Ends with a slash: whether it belongs to the value or closes the element is for those who look closer.
_BARE = rf"{_NAME}=(?:[^<>\x22'={_BLANK}/]|[^<>\x22'={_BLANK}][^<>\x22'{_BLANK}]*[^<>\x22'{_BLANK}/])"
_TAG = (
    rf"(?:{_NAME})?(?:{_GAP}{{1,64}}(?:{_QUOTED}{_GAP}{{1,64}}|{_BARE}[{_BLANK}]{_GAP}{{0,64}})*"
    rf"(?:{_QUOTED}{_GAP}{{0,64}}|{_BARE})?)?>"
)
# Nowhere in a text or a section is an angle bracket: a look at many texts takes it for the end of one (see `lines`).
_WORDS = "[^<>]*"
_COMMENT = "<!--(?:[^-<>][^-<>]*(?:-[^-<>]+)*)?-->"
_CDATA = r"<!\[CDATA\[(?:[^\]<>]|\][^\]<>]|\]\]+[^\]<>])*\]\]+>"
PLAIN_TAGS = (
    Pattern(rf"(?:{_WORDS}(?:(?:{_COMMENT}|{_CDATA}){_WORDS})*</?[A-Za-z_:\x80-\xff]{_TAG})*").match_end,
    Pattern(rf"(?:{_WORDS}(?:{_COMMENT}{_WORDS})*</?[A-Za-z]{_TAG})*").match_end,
)
"""Steps over tags of XML, or of HTML, with the texts and sections before them, where they are written as they mostly
are."""

_BLANKS = rf"[{_BLANK}]*(?:{_COMMENT}[{_BLANK}]*)*"
LONE_TEXTS = (
    Pattern(
        rf"(?:(?:(?:{_COMMENT})*(?:{_WORDS}|{_CDATA})(?:{_COMMENT})*|{_BLANKS})</?[A-Za-z_:\x80-\xff]{_TAG})*"
    ).match_end,
    Pattern(rf"(?:(?:(?:{_COMMENT})*{_WORDS}(?:{_COMMENT})*|{_BLANKS})</?[A-Za-z]{_TAG})*").match_end,
)
"""The same, where no text goes on behind a section."""

STEPPED = re.compile(
    rb"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<(/?)([^\s/>]+)([^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*)>""", re.DOTALL
)
"""What PLAIN_TAGS stepped over, but for texts: a slash, a name, the rest; of sections, nothing."""


_SECTION = rb"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>"
_RUNS = re.compile(
    rb"""<[^!"'>][^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>|([^<]*(?:(?:%b)[^<]*)+)|[^<]+""" % _SECTION, re.DOTALL
)
_SECTIONS = re.compile(_SECTION, re.DOTALL)


_CUT_ENTITY = re.compile(rb"&[#0-9A-Za-z]{0,32}<!")


class Run(NamedTuple):
    """A text with sections: where it lies, and what it is without them, written as if there were no CDATA. `unsure`:
    something in it may be read as an entity that is none, or the other way round."""

    start: int
    end: int
    text: bytes
    unsure: bool


def joined(buffer: bytes, start: int, end: int) -> Iterator[Run]:
    """The texts with sections in what PLAIN_TAGS stepped over."""
    for run in _RUNS.finditer(buffer, start, end):
        if (raw := run[1]) is not None:
            yield Run(run.start(), run.end(), _SECTIONS.sub(_text, raw), _CUT_ENTITY.search(raw) is not None)


def _text(section: re.Match[bytes]) -> bytes:
    return (section[1] or b"").replace(b"&", b"&amp;")


def tags(buffer: bytes, html: bool) -> bytes:
    """What may be tags in a buffer that begins with text: most of it is not."""
    end = PLAIN_TAGS[html](buffer, 0, len(buffer))
    plain = b"".join([b"<" + name + rest + b">" for _, name, rest in STEPPED.findall(buffer[:end])]) if end > 0 else b""
    return plain + buffer[max(0, end) :]


def lines(buffer: bytes, inside: bool) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The buffer with line ends, as long, for what stands beside texts and sections, beside values in double quotes, in
    single ones, and in none: in one of these each of them is a line. And what it is that stands there, and what of it
    is in none of them. `inside`: the buffer may begin in a value."""
    angles = buffer
    if b"<!" in buffer:
        angles = _CDATA_MARK.sub(b"\n" * 9, buffer)
        for mark in (b"<!--", b"-->", b"]]>"):
            angles = angles.replace(mark, b"\n" * len(mark))
    marks = b"<>-[]" if b"<!" in buffer else b"<>"
    yield angles.translate(_LINES[b"<>"]), marks, marks
    for marks, begins in _BEGINS.items():
        if inside or begins.search(buffer):
            yield buffer.translate(_LINES[marks]), marks, marks.strip()


_CDATA_MARK = re.compile(rb"(?i)<!\[CDATA\[")
_BEGINS = {
    b'"': re.compile(rb'=\s*"'),
    b"'": re.compile(rb"=\s*'"),
    b"=> \t\r\v\f": re.compile(rb"""=\s*[^\s"'>]"""),
}
_LINES = {marks: bytes.maketrans(marks, b"\n" * len(marks)) for marks in (b"<>", *_BEGINS)}
DOCTYPE = re.compile(rb"""<!DOCTYPE(?:[^>"'\[]|"[^"]*"|'[^']*')*([>\[])""", re.IGNORECASE)

NO_COMMENT = re.compile(rb"<!---?>")
BOGUS = re.compile(rb"<(?:!|/(?![A-Za-z]))")
"""In HTML: a comment that ends as it begins, and what is none but is read as one."""

COMMENT_END = re.compile(rb"--!?>")
"""Of HTML."""

SECTIONS = ((b"<!--", re.compile(rb"-->")), (b"<![CDATA[", re.compile(rb"\]\]>")), (b"<?", re.compile(rb"\?>")))
"""What begins sections whose text is no markup, and what ends them."""

VALUES = {b'"': re.compile(rb'"'), b"'": re.compile(rb"'"), b"": re.compile(rb"(?=[\s>])")}
"""What ends an attribute's value, by what began it."""

VOID = frozenset((
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source", b"track", b"wbr",
))  # fmt: skip
"""Elements of HTML that have no end."""

RAW = (b"script", b"style", b"iframe", b"noembed", b"noframes", b"xmp")
ESCAPED = (b"textarea", b"title")

RAW_ENDS = {name: re.compile(rb"(?i)(?=</%s[\s/>])" % name) for name in RAW + ESCAPED}
"""What ends elements of HTML whose text is no markup, of RAW without entities."""

LONGEST_END = 10
"""Of </textarea and what follows it, all but one byte."""
