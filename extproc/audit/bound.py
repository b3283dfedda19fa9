"""Records of a size that nobody who is recorded can choose. Pure.

Much in a record is a client's own text: paths, hosts, names of models and tools, trace headers. What is long is cut to
its start, after it was redacted, and what has no canonical form is written as near to it as there is one; such a record
says so by a member `shortened`. So no request is without its record, and none fills the disk.
"""

from collections.abc import Iterator, Mapping, Sequence

from extproc.domain.json import JSON

RECORD_BYTES = 64 << 10
"""A record's payload, at most."""

ROOMY_BYTES = 8 << 10
"""A payload up to this size is written as it is."""

# Characters of a text, and members of a list or an object: the first that fits is written.
_STEPS = ((2048, 256), (512, 64), (128, 32))
_DEEPEST = 12
_LONGEST_INTEGER = 1 << 63
_CORE = ("at", "request", "session", "outcome", "hold", "code", "state", "status", "duration_us")
_CORE_OF = {
    "principal": ("issuer", "subject", "kind", "credential"),
    "target": ("name", "environment"),
    "action": ("protocol", "verb", "resource", "digest"),
    "source": ("address",),
}
_DECISION = ("id", "effect", "revision")


def shorter(body: object) -> Iterator[dict[str, JSON]]:
    """Forms of a record's body, each shorter than the one before. The last has less than 16 KiB."""
    for text, members in _STEPS:
        cut = _cut(body, text, members, 0)
        if isinstance(cut, dict):
            yield {**cut, "shortened": True}
    yield {**_core(body if isinstance(body, Mapping) else {}), "shortened": True}


def _core(body: Mapping[str, object]) -> dict[str, JSON]:
    """What tells who did what, to what, and how it was decided."""
    core = _some(body, _CORE)
    for name, members in _CORE_OF.items():
        part = body.get(name)
        if isinstance(part, Mapping):
            core[name] = _some(part, members)
    decision = body.get("decision")
    if isinstance(decision, Mapping):
        core["decision"] = _some(decision, _DECISION)
    elif decision is not None:  # a delivery names its decision by its id
        core["decision"] = _scalar(decision)
    return core


def _some(body: Mapping[str, object], names: Sequence[str]) -> dict[str, JSON]:
    return {name: _scalar(body[name]) for name in names if name in body}


def _scalar(value: object) -> JSON:
    return _cut(value, 128, 0, _DEEPEST)


def _cut(value: object, text: int, members: int, depth: int) -> JSON:
    if isinstance(value, str):
        clean = value.encode("utf-8", "replace").decode()
        return clean if len(clean) <= text else clean[:text] + "…"
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_LONGEST_INTEGER <= value < _LONGEST_INTEGER else _cut(hex(value), text, members, depth)
    if depth < _DEEPEST and isinstance(value, Mapping):
        kept = list(value.items())[:members]
        return {str(_cut(str(name), 128, 0, 0)): _cut(item, text, members, depth + 1) for name, item in kept}
    if depth < _DEEPEST and isinstance(value, Sequence | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        cut = [_cut(item, text, members, depth + 1) for item in items[:members]]
        return cut if len(cut) == len(items) else [*cut, f"… {len(items) - len(cut)} more"]
    return f"({type(value).__name__})"
