"""Bodies with a value planted in them, spelt as a format may spell it, and readers of what comes out."""

import base64
import html
import json
import quopri
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tests.masking.apis import APIS

BESIDE = b" ; "
"""What stands between a value and what surrounds it, and is part of no value."""


@dataclass(frozen=True)
class Site:
    """A value, the name of its field, and what stands before and after it; `spelling` decides all that a format leaves
    open."""

    value: bytes
    name: bytes
    before: bytes
    after: bytes
    spelling: random.Random

    @property
    def text(self) -> bytes:
        """The value among what surrounds it."""
        return BESIDE.join((self.before, self.value, self.after))

    def sometimes(self, chance: float = 0.4) -> bool:
        """True that often."""
        return self.spelling.random() < chance

    def pieces(self, text: str) -> list[str]:
        """A text in a few pieces."""
        cuts = sorted(self.spelling.randrange(len(text) + 1) for _ in range(self.spelling.randrange(8)))
        return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@dataclass(frozen=True)
class Planted:
    """The name of the stage for a body, the body, and what gives the texts that a reader of the output reads."""

    stage: str
    body: bytes
    read: Callable[[bytes], list[bytes]]


def text(site: Site) -> Planted:
    """Plain text, or an assignment in it."""
    lead = site.name + b"=" if site.name == b"secret" and not re.search(rb"[\s\x22\x27,;&<>]", site.value) else b""
    body = site.before + BESIDE + lead + site.value + BESIDE + site.after
    return Planted("text", body, lambda out: [out])


def json_member(site: Site) -> Planted:
    """A member of an object, in the middle of anything."""
    inside, before, after = _json_spelt(site, site.value), site.before, site.after
    if site.sometimes(0.5):  # the surroundings are part of the text
        sides = [json.dumps(side.decode("utf-8", "replace"), ensure_ascii=False)[1:-1] for side in (before, after)]
        inside, before, after = f"{sides[0]} ; {inside} ; {sides[1]}", b"", b""
    member = f'{{"a": 1, "{_json_spelt(site, _cased(site))}": "{inside}" }}'
    return Planted("json", before + member.encode() + after, strings)


def _json_spelt(site: Site, value: bytes) -> str:
    def one(char: str) -> str:
        if site.sometimes(0.3) or char in '"\\\n':
            code = f"{ord(char):04x}"
            return "\\u" + (code.upper() if site.sometimes() else code)
        return r"\/" if char == "/" and site.sometimes() else char

    return "".join(map(one, value.decode()))


def _cased(site: Site) -> bytes:
    return site.name.upper() if site.sometimes(0.2) else site.name


def strings(out: bytes) -> list[bytes]:
    """What the strings in JSON mean."""
    texts = []
    for raw in re.findall(r'"(?:[^"\\]|\\.)*"', out.decode("utf-8", "replace"), re.DOTALL):
        try:
            texts.append(json.loads(raw, strict=False).encode("utf-8", "surrogatepass"))
        except ValueError:  # a mask in text that looks like a string, perhaps
            continue
    return texts


def form(site: Site) -> Planted:
    """A pair of a form."""

    def one(byte: int) -> bytes:
        if byte == 32 and site.sometimes(0.5):
            return b"+"
        return b"%%%02X" % byte if site.sometimes() or byte in b"&+%=#" else bytes((byte,))

    pair = b"=".join(b"".join(map(one, part)) for part in (_cased(site), site.value))
    body = site.before + b"&" + pair + b"&" + site.after
    return Planted("form", body, lambda out: [unquote_to_bytes(out.replace(b"+", b" "))])


def csv(site: Site) -> Planted:
    """A cell."""
    sides = [re.sub(rb'[",\r\n;|\t]', b".", side) for side in (site.before, site.after)]
    quoted = site.sometimes(0.5) or b'"' in site.value or b"\n" in site.value
    cell = b'"' + site.value.replace(b'"', b'""') + b'"' if quoted else site.value
    body = b"a,%b,b\r\n%b,%b,%b\r\n" % (_cased(site), sides[0], cell, sides[1])
    return Planted("csv", body, lambda out: [out.replace(b'""', b'"')])


def multipart(site: Site) -> Planted:
    """A part, in a transfer encoding."""
    transfer = site.spelling.choice([b"", b"base64", b"quoted-printable", b"8bit"])
    content = site.text
    if transfer == b"base64":
        content = base64.encodebytes(content)
    elif transfer == b"quoted-printable":
        content = b"".join(b"=%02X" % byte if byte in b"=" or site.sometimes() else bytes((byte,)) for byte in content)
    named = site.spelling.choice([b'name="%b"', b"name=%b", b"name*=utf-8''%b"]) % _cased(site)
    head = b"Content-Disposition: form-data; " + named + b"\r\n"
    head += b"Content-Transfer-Encoding: " + transfer + b"\r\n" if transfer else b""

    def texts(out: bytes) -> list[bytes]:
        inside = out.partition(b"\r\n\r\n")[2].partition(b"\r\n--XX")[0]
        if transfer == b"base64":
            return [base64.b64decode(inside + b"==")]
        return [quopri.decodestring(inside)]

    return Planted("multipart", b"--XX\r\n" + head + b"\r\n" + content + b"\r\n--XX--\r\n", texts)


def deltas(site: Site) -> Planted:
    """A text that a language model streams in pieces, or the arguments of a call."""
    api = site.spelling.choice(APIS)
    whole = BESIDE.join((site.before[-200:], site.value, site.after[:200])).decode("utf-8", "replace")
    if api.json:
        whole = json.dumps({site.name.decode(): whole})
    documents = [*map(api.piece, site.pieces(whole)), *(api.ends if site.sometimes(0.5) else ())]
    body = b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)

    def texts(out: bytes) -> list[bytes]:
        events = [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: {")]
        joined = api.text(events).encode("utf-8", "replace")
        return [joined, *(strings(joined) if api.json else ())]

    return Planted("events", body, texts)


def events(site: Site) -> Planted:
    """A text in events that follow each other."""
    parts = [
        re.sub(r"[\r\n]+", " ", part.decode("latin-1")) for part in (site.before[-200:], site.value, site.after[:200])
    ]
    pieces = [piece.encode("latin-1") for piece in site.pieces(" ; ".join(parts))]
    body = b"".join(b"data: " + piece + b"\n\n" for piece in pieces)
    return Planted("events", body, lambda out: [b"".join(re.findall(rb"data: ([^\n]*)\n", out))])


def markup(site: Site) -> Planted:
    """A text of an element."""

    kind = site.spelling.choice(["xml", "html"])

    def one(char: str) -> str:
        aside = site.spelling.choice(["<!-- x -->", "<?x?>", "<!---->"]) if site.sometimes(0.2) else ""
        if kind == "xml" and site.sometimes(0.2):
            return f"{aside}<![CDATA[{char}]]>"
        if site.sometimes(0.5) or char in "<&>":
            return aside + site.spelling.choice([f"&#{ord(char)};", f"&#x{ord(char):x};", f"&#{ord(char):05};"])
        return aside + char

    sides = [html.escape(side.decode("utf-8", "replace")).encode() for side in (site.before, site.after)]
    inside = BESIDE.join((sides[0], "".join(map(one, site.value.decode())).encode(), sides[1]))
    body = b"<r><%b>%b</%b></r>" % (site.name, inside, site.name)

    def texts(out: bytes) -> list[bytes]:
        joined = re.sub(rb"(?s)<!--.*?-->|<\?.*?\?>|<!\[CDATA\[|\]\]>", b"", out)
        return [html.unescape(joined.decode("utf-8", "replace")).encode()]

    return Planted(kind, body, texts)


FORMATS: Mapping[str, Callable[[Site], Planted]] = {
    "text": text, "json": json_member, "form": form, "csv": csv, "multipart": multipart, "deltas": deltas,
    "events": events, "markup": markup,
}  # fmt: skip
NAMELESS = {"events"}
"""Those in which no name selects anything; and text, but for an assignment."""
