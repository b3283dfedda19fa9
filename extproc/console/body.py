"""Request bodies: one JSON object with one meaning, or none."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from extproc.console.problem import BadRequest
from extproc.domain.display import is_plain

MAX_BODY_BYTES = 16_384
LIST_LENGTH = 64
NAME_LENGTH = 256

Shape = Callable[[object], bool]


def flag(value: object) -> bool:
    """True or false."""
    return isinstance(value, bool)


def whole(value: object) -> bool:
    """A whole number."""
    return type(value) is int


def text(value: object) -> bool:
    """Any text that can be written down; half a surrogate pair can't."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def name(value: object) -> bool:
    """Visible text on one line, of which people can tell what it is."""
    return isinstance(value, str) and 0 < len(value) <= NAME_LENGTH and is_plain(value)


def names(value: object) -> bool:
    """A list of such texts."""
    return isinstance(value, list) and len(value) <= LIST_LENGTH and all(map(name, value))


def remark(value: object) -> bool:
    """A few visible words, or none."""
    return value == "" or name(value)


def document(**members: Shape) -> Shape:
    """An object with just these members."""
    return lambda value: (
        isinstance(value, dict)
        and set(value) == set(members)
        and all(shape(value[member]) for member, shape in members.items())
    )


async def read(
    request: web.Request, wanted: str, required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None
) -> dict[str, Any]:
    """The request's JSON object: all of `required`, some of `optional`, where null is as good as absent, and no other
    member. Raises BadRequest, with `wanted` for what would be right."""
    if request.content_type != "application/json":
        raise BadRequest(f"expected application/json: {wanted}")
    try:
        body = json.loads(await request.read(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest(f"expected {wanted}, each member once") from None
    if not isinstance(body, dict):
        raise BadRequest(f"expected {wanted}")
    known = {**required, **(optional or {})}
    if missing := sorted(set(required) - set(body)):
        raise BadRequest(f"{', '.join(missing)}: missing; expected {wanted}")
    if unknown := sorted(set(body) - set(known)):
        raise BadRequest(f"{unknown[0][:80]!a}: not a member of it; expected {wanted}, and nothing else")
    for member, value in body.items():
        if not known[member](value) and not (value is None and member not in required):
            raise BadRequest(f"{member}: not as expected; expected {wanted}")
    return {member: value for member, value in body.items() if value is not None}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member twice")
    return dict(pairs)
