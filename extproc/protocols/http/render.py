"""What an approver reads of a request: all that goes on, as it goes on. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from extproc.domain.action import Unrenderable
from extproc.domain.grant import Lane
from extproc.domain.identity import CARRIERS
from extproc.domain.mask import Mask
from extproc.masking.bounded import opaque
from extproc.masking.build import build, found_in
from extproc.masking.hiding import Hiding, cover, for_approvers
from extproc.masking.plan import Knowledge
from extproc.masking.shape import Shape, shape
from extproc.masking.stage import MaskError
from extproc.protocols.http import headers
from extproc.protocols.http.lanes import masked_headers
from extproc.protocols.http.message import RequestHead
from extproc.protocols.session import Head
from extproc.protocols.shown import RENDER_BYTES, hide, hide_json, hide_pairs, is_json

_NEVER_ON = frozenset(CARRIERS[:2])
_PRIVATE_KEY = "private-key"


def render(head: RequestHead, data: bytes | None, known: Knowledge, masks: Sequence[Mask]) -> str:
    """The request as it will go on, after the masks, and without some values that nobody should read in a list of
    requests: see `masking.hiding`. Raises Unrenderable where something that goes on could not be shown."""
    if data is None:
        raise Unrenderable("This target does not read bodies, so nobody could say which one they approve")
    if len(data) > RENDER_BYTES:
        raise Unrenderable(f"The body has more than the {RENDER_BYTES} bytes that a person is shown")
    hiding = for_approvers(known)
    path, mark, query = head.target_path.partition("?")
    lines = [f"{head.method} {hide(path, hiding)}{mark}{hide_pairs(query, hiding)}"]
    try:
        lines += [f"{name}: {_header(name, value, hiding)}" for name, value in _headers(head, known, masks)]
        return "\n".join(lines) + (f"\n\n{_body(head, data, known, masks, hiding)}" if data else "")
    except UnicodeDecodeError:
        raise Unrenderable("The body is not text, so nobody could read what they approve") from None
    except MaskError as error:
        raise Unrenderable(f"The body can't be masked: {error}") from error


def _headers(head: RequestHead, known: Knowledge, masks: Sequence[Mask]) -> list[tuple[str, str]]:
    """The headers that an approval binds, with the values that go on."""
    changed, _ = masked_headers(masks, Lane.REQUEST, Head(head.headers), known)
    values = {name: iter(those) for name, those in changed.items()}
    on = tuple((name, next(values[name]) if name in values else value) for name, value in head.headers)
    return replace(head, headers=on).binding_headers()


def _header(name: str, value: str, hiding: Hiding) -> str:
    if headers.masked(name):
        data = value.encode("utf-8", "surrogatepass")
        return cover(data, hiding.field(data, name)).decode("utf-8", "surrogatepass")
    if name not in _NEVER_ON and not all(map(opaque, _parts(name, value))):
        raise Unrenderable(f"The header {name} holds more than a credential, and is shown to nobody")
    return "(not shown)"


def _parts(name: str, value: str) -> list[str]:
    """The values in a header that carries secrets: those of cookies, or a token behind its scheme."""
    if name == "cookie":
        return [pair.strip() for pair in value.split(";")]
    return value.split(" ", 1)


def _body(head: RequestHead, data: bytes, known: Knowledge, masks: Sequence[Mask], hiding: Hiding) -> str:
    """The body that goes on."""
    stage = build(masks, Lane.REQUEST.value, head.content_type_value, known)
    on = stage.feed(data) + stage.finish() if stage is not None else data
    if _PRIVATE_KEY in found_in(on, head.content_type_value, known):
        raise Unrenderable("The body holds a private key, and what stands between its ends can't be shown")
    text = on.decode("utf-8")
    match shape(head.content_type_value):
        case Shape.FORM:
            return hide_pairs(text, hiding)
        case Shape.JSON | Shape.UNSURE_TEXT | Shape.UNSURE_BINARY if is_json(text):
            return hide_json(text, hiding)
        case _:
            return hide(text, hiding)
