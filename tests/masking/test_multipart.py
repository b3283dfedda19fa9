"""Multipart bodies, part by part."""

import base64
import email.parser
import email.policy
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.multipart import HEAD, MultipartStage
from extproc.masking.text import TextStage
from tests.masking.fields import CARD, EMAIL, SSN, plan
from tests.masking.streams import every_cut, run

TYPE = "multipart/form-data; boundary=XyZ"


def _stage(made: Plan, content_type: str = TYPE) -> MultipartStage:
    def inner(kind: str, name: str | None) -> Stage:
        if kind == "application/refused":
            raise MaskError("a part of a type that is refused")
        return TextStage(made, named=made.detector.named(name or ""))

    return MultipartStage(made, content_type, inner)


def _form(*parts: tuple[str, str], end: str = "\r\n") -> bytes:
    """A form's body: pairs of headers and content."""
    text = "".join(f"--XyZ{end}{head}{end}{end}{body}{end}" for head, body in parts) + f"--XyZ--{end}"
    return text.encode()


def _field(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


FORM = _form(
    (_field("note"), f"mail {EMAIL} or --XyZ or \r\n-- or \r\n--Xy"),
    (_field("ssn"), SSN),
    (_field("other"), SSN),
    (_field("secret"), "anything\r\nat all"),
    (_field("empty"), ""),
    (f'{_field("file")}; filename="{EMAIL}.txt"\r\nContent-Type: text/plain', f"card {CARD}"),
)
MASKED = _form(
    (_field("note"), "mail [masked:email] or --XyZ or \r\n-- or \r\n--Xy"),
    (_field("ssn"), "[masked:ssn]"),
    (_field("other"), SSN),
    (_field("secret"), "[masked:key:secret]"),
    (_field("empty"), ""),
    (f'{_field("file")}; filename="[masked:email]"\r\nContent-Type: text/plain', "card [masked:card]"),
)
COUNTS = {"email": 2, "ssn": 1, "key:secret": 1, "card": 1}


def test_names_are_context_and_keys_mask_whole_parts() -> None:
    """What stands under a name is looked at as that; everything else keeps its bytes."""
    assert run(lambda: _stage(plan("secret")), FORM) == (MASKED, COUNTS)
    assert run(lambda: _stage(plan("Secret")), FORM.replace(b"\r\n", b"\n"))[0] == MASKED.replace(b"\r\n", b"\n")


def test_every_single_cut() -> None:
    """Cut at each offset, and byte by byte; also within preamble, epilogue and parts inside parts."""
    made = plan("secret")
    nested = f'see {CARD}\r\n--XyZ\r\nContent-Type: multipart/mixed; boundary="in ner"\r\n\r\n'.encode()
    nested += f"--in ner\r\n\r\n{EMAIL}\r\n--in ner\r\n{_field('secret')}\r\n\r\nx\r\n--in ner-- \r\n".encode()
    nested += f"\r\n--XyZ  \r\n\r\n\r\n--XyZ--\r\nfrom {EMAIL}\r\n".encode()
    every_cut(lambda: _stage(made), FORM)
    every_cut(lambda: _stage(made), nested)
    assert run(lambda: _stage(made), nested)[1] == {"card": 1, "email": 2, "key:secret": 1}
    assert b"4111" not in run(lambda: _stage(made), nested)[0]


_PIECES = ["--XyZ", "--XyZ--", "\r\n", "\n", "\r", "--", "-", "X", _field("ssn"), "a: b", ":", SSN, CARD, EMAIL, " "]


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join), st.booleans())
def test_cuts_do_not_matter(text: str, lenient: bool) -> None:
    """Whatever comes, well-formed or not, is masked or refused the same way in one piece and in many."""
    raw = text.encode()

    def outcome(cuts: range) -> object:
        try:
            return run(lambda: _stage(plan("ssn", lenient=lenient)), raw, cuts)
        except MaskError:
            return MaskError

    assert outcome(range(1, len(raw))) == outcome(range(0))
    if lenient and "--XyZ" not in text:
        run(lambda: _stage(plan(lenient=True)), raw)


@pytest.mark.parametrize(
    "body",
    [
        b"no part at all",
        FORM[:-9],
        FORM[:-5],
        FORM[:20],
        b"--XyZ\r\nno header\r\n\r\nx\r\n--XyZ--",
        b"--XyZgoes on\r\n\r\nx\r\n--XyZ--",
        b"--XyZ\r\n\r\nx\r\n--XyZ--\r\n--XyZ\r\n\r\ny\r\n--XyZ--",
        b"--XyZ\r\na: b\r\n--XyZ\r\n\r\n\r\n--XyZ--",
        b"--XyZ\r\na: " + b"b" * HEAD + b"\r\n\r\n\r\n--XyZ--",
        b"--XyZ\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n\r\n\r\n--XyZ--",
        b"--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n\r\n--XyZ--",
        b'--XyZ\r\nContent-Disposition: form-data; name="a\r\n\r\n\r\n--XyZ--',
        b"--XyZ\r\nContent-Type: multipart/mixed\r\n\r\n\r\n--XyZ--",
    ],
)
def test_what_is_malformed_is_refused_or_text(body: bytes) -> None:
    """As policy says; text is masked all the same."""
    body = body + f" {CARD} ".encode() if b"header" in body else body
    with pytest.raises(MaskError):
        run(lambda: _stage(plan()), body)
    out, _ = run(lambda: _stage(plan(lenient=True)), body)
    assert b"4111" not in out
    assert EMAIL.encode() not in out
    every_cut(lambda: _stage(plan(lenient=True)), body[:300])


@pytest.mark.parametrize(
    ("given_type", "taken"),
    [
        ('multipart/mixed; charset="a;b"; boundary="XyZ"', True),
        ("Multipart/Form-Data;BOUNDARY=XyZ", True),
        ("multipart/mixed", False),
        ("multipart/mixed; boundary=", False),
        ("multipart/mixed; boundary=" + "a" * 71, False),
        ("multipart/mixed; boundary=XyZ; boundary=a", False),
        ('multipart/mixed; boundary="a\nb"', False),
        ('multipart/mixed; boundary="XyZ ', False),
        ("multipart/mixed; boundary=ä", False),
    ],
)
def test_boundaries(given_type: str, taken: bool) -> None:
    """What delimits is said once, and in characters that may."""
    if taken:
        assert run(lambda: _stage(plan("secret"), given_type), FORM)[0] == MASKED
        return
    with pytest.raises(MaskError):
        _stage(plan(), given_type)
    assert EMAIL.encode() not in run(lambda: _stage(plan(lenient=True), given_type), FORM)[0]


@pytest.mark.parametrize(
    "disposition",
    [
        'name="secret"', "name=secret", "NAME = secret", "filename=x; name=SECRET", 'filename="; name=o"; name=secret',
        r'name="se\cret"', "name=se%63ret", "name*=UTF-8''secr%65t", 'name=";"; name*=UTF-8\'en\'secret',
        'name=\r\n "secret"', "name=secret;",
    ],
)  # fmt: skip
def test_names_however_they_are_written(disposition: str) -> None:
    """Any of the ways in which a reader may take it selects the part."""
    out, counts = run(lambda: _stage(plan("secret")), _form((f"Content-Disposition: form-data; {disposition}", "x1")))
    assert counts == {"key:secret": 1}
    assert b"x1" not in out


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Operator.NULL, _form((_field("a"), "1"), (_field("secret"), ""), (_field("b"), "2"))),
        (Operator.DROP, _form((_field("a"), "1"), (_field("b"), "2"))),
        (Operator.LENGTH, _form((_field("a"), "1"), (_field("secret"), "*****"), (_field("b"), "2"))),
    ],
)
def test_operators(operator: Operator, expected: bytes) -> None:
    """A part under a name is emptied, left out, or covered."""
    made = plan("secret", operators={"key:secret": operator})
    form = _form((_field("a"), "1"), (_field("secret"), "x" * 5), (_field("b"), "2"))
    every_cut(lambda: _stage(made), form)
    assert run(lambda: _stage(made), form) == (expected, {"key:secret": 1})


@pytest.mark.parametrize("kind", ["text/plain", ""])
def test_base64_is_decoded_where_it_is_text(kind: str) -> None:
    """It goes on as base64, in lines."""
    content = f"{EMAIL} and {CARD} " * 9 + "."
    coded = base64.encodebytes(content.encode()).decode().replace("\n", "\r\n").strip()
    head = f"Content-Type: {kind}\r\n" if kind else ""
    form = _form((head + "Content-Transfer-Encoding: BASE64", coded))
    every_cut(lambda: _stage(plan()), form)
    out, counts = run(lambda: _stage(plan()), form)
    assert counts == {"email": 9, "card": 9}
    message = email.parser.BytesParser(policy=email.policy.default).parsebytes(
        f"Content-Type: {TYPE}\r\n\r\n".encode() + out
    )
    (part,) = message.iter_parts()
    assert part.get_payload(decode=True) == b"[masked:email] and [masked:card] " * 9 + b"."


def test_base64_that_is_none_is_refused() -> None:
    """What a reader would make of it can't be known."""
    for coded in ("QQ==QQ==", "QQ", "Q?Q=", "====", "QQ==\r\nQUFB"):
        with pytest.raises(MaskError):
            run(lambda: _stage(plan()), _form(("Content-Transfer-Encoding: base64", coded)))


def test_quoted_printable_is_masked_in_what_it_means() -> None:
    """Over soft line breaks, which stay, and escapes; what is not masked keeps its bytes."""
    text = f"caf=C3=A9 =3D {EMAIL.replace('@', '=40')} =\r\n4111 1111=\r\n 1111 =31111. =E2=80=93=\r\n"
    form = _form(("Content-Transfer-Encoding: quoted-printable", text))
    every_cut(lambda: _stage(plan()), form)
    out, counts = run(lambda: _stage(plan()), form)
    expected = "caf=C3=A9 =3D [masked:email] =\r\n[masked:card]=\r\n. =E2=80=93=\r\n"
    assert (out, counts) == (
        _form(("Content-Transfer-Encoding: quoted-printable", expected)), {"email": 1, "card": 1}
    )  # fmt: skip


def test_parts_are_nested_to_a_depth() -> None:
    """Three levels are read; the fourth is refused, or text."""
    body = f"{EMAIL}\r\n"
    for level in range(4):
        kind = f"Content-Type: multipart/mixed; boundary=b{level - 1}\r\n" if level else ""
        body = f"--b{level}\r\n{kind}\r\n{body}\r\n--b{level}--\r\n"
        made = f"multipart/mixed; boundary=b{level}"
        assert EMAIL.encode() not in run(lambda t=made: _stage(plan(lenient=True), t), body.encode())[0]  # type: ignore[misc]
        if level < 3:
            assert run(lambda t=made: _stage(plan(), t), body.encode())[1] == {"email": 1}  # type: ignore[misc]
    with pytest.raises(MaskError):
        run(lambda: _stage(plan(), "multipart/mixed; boundary=b3"), body.encode())


def test_what_the_parts_stage_refuses_is_refused() -> None:
    """Also in a lenient plan: it has a reason of its own."""
    form = _form(("Content-Type: application/refused", "x"))
    for made in (plan(), plan(lenient=True)):
        with pytest.raises(MaskError):
            run(lambda given=made: _stage(given), form)  # type: ignore[misc]


def test_where_a_part_that_is_masked_whole_ends_must_be_known() -> None:
    """Also in a lenient plan: the rest of it would go on as text."""
    form = _form((_field("secret"), "x\r\n--XyZ goes on\r\nrest"))
    for made in (plan("secret"), plan("secret", lenient=True)):
        with pytest.raises(MaskError):
            run(lambda given=made: _stage(given), form)  # type: ignore[misc]


def test_no_bytes_are_no_parts() -> None:
    """An empty body stays empty."""
    assert run(lambda: _stage(plan()), b"") == (b"", {})


@pytest.mark.parametrize("filler", [b"a" * 1000, b"\r\n" * 500, b"\r\n--Xy" * 150, b"--XyZ" * 200])
def test_memory_is_bounded(filler: bytes) -> None:
    """A part may be of any length."""
    stage = _stage(plan())
    stage.feed(b"--XyZ\r\n\r\n.")
    tracemalloc.start()
    held = 9 + 1
    for _ in range(1000):
        held += len(filler) - len(stage.feed(filler))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 300
    assert peak < 300_000
