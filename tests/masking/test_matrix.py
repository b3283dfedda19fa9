"""What comes out, in each structure, for each operator and each way in which a value is found."""

import pytest

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build
from extproc.masking.operators import cover
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError, Stage
from tests.masking.fields import ENGINE, SSN
from tests.masking.streams import every_cut, run

KEY = b"k" * 32
KNOWLEDGE = Knowledge(ENGINE, hash_key=KEY)
CARD = "4111111111111111"
SECRET = "topsecret42"

# How a field called `name` with this value is written, between two others, and the same without it.
STRUCTURES = {
    "JSON string": ("application/json", '{"a":"1","<name>":"<value>","z":1}', '{"a":"1","z":1}'),
    "JSON number": ("application/json", '{"a":"1","<name>":<value>,"z":1}', '{"a":"1","z":1}'),
    "JSON item": ("application/json", '{"<name>":["a",<quoted>,"z"]}', '{"<name>":["a","z"]}'),
    "form field": ("application/x-www-form-urlencoded", "a=1&<name>=<value>&z=1", "a=1&z=1"),
    "CSV cell": ("text/csv", "a,<name>,z\n1,<value>,1\n", ""),
    "XML element": ("application/xml", "<r><a>1</a><<name>><value></<name>><z>1</z></r>", ""),
    "XML attribute": ("application/xml", "<r a='1' <name>='<value>' z='1'/>", ""),
    "XML property": ("application/xml", "<r><p name='<name>' value='<value>'/></r>", ""),
    "HTML input": ("text/html", "<p>1<input value=<value> name=<name>><p>1", ""),
    "multipart field": (
        "multipart/form-data; boundary=x",
        "--x\r\n<head>name=a\r\n\r\n1\r\n--x\r\n<head>name=<name>\r\n\r\n<value>\r\n--x--",
        "--x\r\n<head>name=a\r\n\r\n1\r\n--x--",
    ),
}  # fmt: skip
HEAD = "Content-Disposition: form-data; "

# What is left of a value by null and drop, where a rule finds it, in a field of any name or because of its name, and
# where the field's name is one that the mask selects. `mask` is what a value becomes in text.
TABLE = """
structure       | found, null | found, drop | selected, null | selected, drop
JSON string     | null        | left out    | null           | left out
JSON number     | null        | left out    | null           | left out
JSON item       | null        | left out    | the whole list | the member
form field      | empty       | left out    | empty          | left out
CSV cell        | empty       | empty       | empty          | empty
XML element     | mask        | mask        | empty          | empty
XML attribute   | mask        | mask        | empty          | empty
XML property    | mask        | mask        | empty          | empty
HTML input      | mask        | mask        | empty          | empty
multipart field | mask        | mask        | empty          | left out
"""
ROWS = {
    name.strip(): [cell.strip() for cell in cells]
    for name, *cells in (line.split("|") for line in TABLE.strip().splitlines()[1:])
}
FOUND = {"by kind": ("other", "card", CARD), "by name": ("ssn", "ssn", SSN), "by key": ("key", "key:key", SECRET)}


def _masked(operator: Operator, kind: str, value: str) -> str:
    out = cover(operator, kind, KEY)
    return (out.feed(value.encode()) + out.end()).decode()


def _quoted(structure: str, text: str) -> str:
    return text.replace("[", "%5B").replace("]", "%5D").replace(":", "%3A").replace("*", "%2A") if (
        structure == "form field"
    ) else text  # fmt: skip


def _written(structure: str, name: str, value: str) -> str:
    text = STRUCTURES[structure][1].replace("<head>", HEAD)
    return text.replace("<quoted>", f'"{value}"').replace("<name>", name).replace("<value>", value)


def _expected(structure: str, how: str, operator: Operator) -> str:
    name, kind, value = FOUND[how]
    mask = _quoted(structure, _masked(operator, kind, value))
    cell = "mask"
    if operator in (Operator.NULL, Operator.DROP):
        cell = ROWS[structure][(operator is Operator.DROP) + 2 * (how == "by key")]
    elif structure == "JSON number":
        cell = "null"
    if structure == "JSON item" and how == "by key":  # a list has no text that could be shown in part
        everything = {Operator.NULL: "null", Operator.DROP: ""}.get(operator, f'"[masked:{kind}]"')
        return f'{{"{name}":{everything}}}' if everything else "{}"
    match cell:
        case "mask":
            return _written(structure, name, mask)
        case "null":
            quoted = f'"{value}"' if structure in ("JSON string", "JSON item") else value
            return _written(structure, name, value).replace(quoted, "null")
        case "empty":
            return _written(structure, name, "")
        case _:
            return STRUCTURES[structure][2].replace("<head>", HEAD).replace("<name>", name)


@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("how", FOUND)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_comes_out(structure: str, how: str, operator: Operator) -> None:
    """As the table says; by the other operators always the mask, but null of a number. At every cut."""
    name, kind, value = FOUND[how]
    if structure == "JSON number" and how == "by key":
        value = "42"
    raw = _written(structure, name, value).encode()
    mask = Mask("p", ("*",), ("key",), operator)

    def make() -> Stage:
        stage = build((mask,), "request", STRUCTURES[structure][0], KNOWLEDGE)
        assert stage is not None
        return stage

    expected = _expected(structure, how, operator).replace(FOUND[how][2], value).encode()
    out, counts = run(make, raw)
    assert (out, counts) == (expected, {kind: 1})
    every_cut(make, raw)


# In each of these the mask selects what stands under `secret`, or tries to; no reader is sure what it means.
_PART = f"{HEAD}name=secret\r\n\r\n{SECRET}"
MALFORMED = {
    "application/json": [
        f'{{"secret": "{SECRET}', f'{{"secret" "{SECRET}"}}', f'{{"secret": "{SECRET}",}}', f'{{"secret": {SECRET}}}',
        f"{{secret: '{SECRET}'}}", f'[{{"secret": "{SECRET}"]', f'{{"secret": "\t{SECRET}"}}',
        f'{{"secret": "\\x{SECRET}"}}',
        f'{{"secret": [1, {{"a": "{SECRET}"}}', f'{{"secret": [1, "{SECRET}"}}, 1]}}',
        f'{{"secret": "a"}} "secret": "{SECRET}"',
        "[" * 200 + f'{{"secret": "{SECRET}"}}', f'{{"secret": {{"a": {"[" * 200}"{SECRET}"',
        f'{{"secret": 1{SECRET}}}',
        f'{{"secret": "{"x" * 2000}\x01{SECRET}"}}', f'{{"secret": "{"x" * 2000}{SECRET}',
    ],
    "application/x-www-form-urlencoded": [
        f"secret={SECRET}%", f"secret=%zz{SECRET}", f"&=&secret={SECRET}=", f"=x&secret==&secret={SECRET}",
        f"s%65cret={SECRET}", f"SECRET={SECRET}", f"secret=a\r\n{SECRET}",
    ],
    "text/csv": [
        f'secret,a\n"{SECRET}', f'secret,a\n"{SECRET}"x,1\n', f'a,secret\n"x"y,{SECRET}\n',
        f'a,secret\n"x\n1,{SECRET}\n',
        f'"secret,a\n{SECRET},1\n', f'a,secret\n"{"x" * 5000}"y,{SECRET}\n', f'a,secret\n1,"{"x" * 5000}{SECRET}',
    ],
    "application/xml": [
        f"<r><secret>{SECRET}", f"<r><secret>{SECRET}</secre", f"<r><secret>a</b>{SECRET}</secret></r>",
        f"<r><secret><b>a</secret>{SECRET}</b></secret></r>", f"<r><a secret={SECRET}", f"<r><a secret='{SECRET}",
        f"<r><a value='{SECRET}' name='secret'", f"<r><a value='{SECRET}' name='secret",
        f"<r><secret><![CDATA[{SECRET}",
        f"<r><secret><!-- {SECRET}", f"<r><secret><?x {SECRET}", f"<r><secret a='{SECRET}", f"<r><secret b {SECRET}",
        f"<secret xmlns:a='u'><a:b c='{SECRET}'>{SECRET}</a:b", f"<r><secret>a<b c='</secret>'>{SECRET}</b>",
        f"<!DOCTYPE r [<!ENTITY x '{SECRET}'>]><r><secret>&x;</secret></r>",
        f"<r><secret>a<!--</secret>-->{SECRET}</secret>",
        f"<r><a value='{SECRET}' b='{'x' * 5000}' name='secret'/></r>",
        f"<r><secret>a<![CDATA[</secret>]]>{SECRET}</secret>",
        f"<r><secret><{'b' * 1100}>{SECRET}</secret></r>",
    ],
    "text/html": [
        f"<secret>{SECRET}", f"<secret>a<br>{SECRET}<p>{SECRET}<p>{SECRET}", f"<secret>a</p></i>{SECRET}",
        f"<input value={SECRET} name=secret", f"<input value={SECRET} name='secret", f"<input secret='{SECRET}",
        f"<secret><script>'</secret>'+{SECRET}", f"<secret><textarea></secret>{SECRET}",
        f"<secret>a<secret>b</secret>{SECRET}",
        f"<textarea name=secret>a<b>{SECRET}</textarea>", f"<input VALUE={SECRET} ID=x NAME=s&#101;cret>",
    ],
    "multipart/form-data; boundary=x": [
        f"--x\r\n{_PART}", f"--x\r\n{_PART}\r\n--xy\r\n{SECRET}", f"--x\r\n{_PART}\r\n--x -\r\n{SECRET}\r\n--x--",
        f"--x\r\n{HEAD}name=secret; name=a\r\n\r\n{SECRET}\r\n--x--",
        f'--x\r\n{HEAD}name="secret\r\n\r\n{SECRET}\r\n--x--',
    ],
}  # fmt: skip


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("content_type", "body"), [(content_type, body) for content_type, bodies in MALFORMED.items() for body in bodies]
)
def test_nothing_selected_passes(content_type: str, body: str, lenient: bool) -> None:
    """Whatever is wrong with a body, what a mask selects is masked, or the body is refused; what rules find, too."""
    mask = Mask("p", ("*",), ("secret",), Operator.REDACT, lenient=lenient)
    for raw in (body.encode(), body.replace(SECRET, CARD).encode()):
        value = SECRET.encode() if raw == body.encode() else CARD.encode()
        for step in (len(raw), 7, 1):
            stage = build((mask,), "request", content_type, KNOWLEDGE)
            assert stage is not None
            out = b""
            try:
                for at in range(0, len(raw), step):
                    out += stage.feed(raw[at : at + step])
                out += stage.finish()
            except MaskError:
                pass
            assert value not in out
