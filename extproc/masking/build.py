"""Choosing stages: from a Decision's masks, a lane and a content type to what the lane's bytes pass through."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from extproc.domain.mask import EVERY, GROUPS, KEY_LENGTH, SECRET, Mask, Operator
from extproc.masking.bounded import open_kinds
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.engine.scanner import SLICE, counts
from extproc.masking.hiding import for_approvers, for_records
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.plan import without as plan_without
from extproc.masking.redact import redactor
from extproc.masking.shape import Shape, shape
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure import delimiters
from extproc.masking.structure.csvheader import called
from extproc.masking.structure.csvstage import CsvStage
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.escaped import shortest_of
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.lenient import LenientStage
from extproc.masking.structure.llm.answers import AnswerStage
from extproc.masking.structure.mapped import WholeStage
from extproc.masking.structure.multipart import MultipartStage
from extproc.masking.structure.names import names
from extproc.masking.structure.sniff import SniffStage
from extproc.masking.structure.spelt import RawBehind, SpeltStage
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.structure.wide import NarrowStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage, mask_whole

_LIKE_JSON = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]")

_LOOSE = frozenset({Shape.CSV, Shape.XML, Shape.HTML, Shape.MULTIPART})
_BYTES = frozenset({Shape.BINARY, Shape.UNSURE_BINARY, Shape.MULTIPART})
_RESPONSE = "response"
_GUARDED_EVENT = 4 << 20
_SHORT = 512
"""Bytes of a body in which what was found is remembered."""


def build(masks: Sequence[Mask], lane: str, content_type: str, knowledge: Knowledge) -> Stage | None:
    """The stage for a lane ("request" or "response"), or None if no mask applies to it. `content_type` is the
    header's value, empty when there is none. The credentials that are known are masked in every response, whatever the
    masks, and in a request by a mask for their kind. Raises MaskError for a mask that can't be carried out (an unknown
    kind) and, with a mask, for a character set that hides ASCII (UTF-16 and the like)."""
    plan, only = _planned(tuple(masks), lane, knowledge)
    if plan is not None:
        return _stage(plan, content_type, only, answers=lane == _RESPONSE)
    return _guard(content_type, only) if only is not None else None


def check(masks: Sequence[Mask], knowledge: Knowledge) -> None:
    """Raises MaskError where one of the masks can't be carried out, whatever its lanes: asked before anything goes on,
    for what the request does can't be undone once an answer turns out not to be maskable."""
    for lane in ("request", _RESPONSE):
        _planned(tuple(masks), lane, knowledge)


def planned(masks: Sequence[Mask], lane: str, knowledge: Knowledge) -> tuple[Plan | None, Plan | None]:
    """What the masks ask for on a lane, or None; and the plan that finds the credentials masked there and nothing else,
    or None: for what has structure of its own, and no content type. Shared. Raises MaskError."""
    return _planned(tuple(masks), lane, knowledge)


def mask_value(
    masks: Sequence[Mask], lane: str, text: str, knowledge: Knowledge, name: str = ""
) -> tuple[str, dict[str, int]]:
    """One whole text (a header's value) as the stage for text/plain would mask it, and how many values by kind; the
    text itself where nothing is masked. `name` is the field that it stands in: context, and a mask may select it.
    Raises MaskError for a mask that can't be carried out."""
    plan, only = _planned(tuple(masks), lane, knowledge)
    if plan is None:
        return (text, {}) if only is None else mask_whole(only, text)
    asked = names(plan).asked_by_header(name)
    if asked.kind is None or not text:
        return mask_whole(plan.in_text(), text, asked.named)
    stage = WholeStage(plan, asked.kind)
    out = stage.feed(text.encode("utf-8", "surrogatepass")) + stage.finish()
    return out.decode("utf-8", "surrogatepass"), dict(stage.counts)


def asked_by_name(masks: Sequence[Mask], lane: str, name: str, knowledge: Knowledge) -> bool:
    """Whether a field's name alone may make its value one to mask. Raises MaskError as `mask_value` does."""
    plan, _ = _planned(tuple(masks), lane, knowledge)
    return plan is not None and bool(names(plan).asked_by_header(name))


def found_in(data: bytes, content_type: str, knowledge: Knowledge) -> dict[str, int]:
    """How many values of each kind a whole body has, decoded as a mask for all kinds would see it. What is no CSV, XML
    or multipart although it says so is read as text: nobody asked for a mask yet. Raises MaskError for other bodies
    where that mask would."""
    if not data:
        return {}
    return dict(
        _found_in_short(data, content_type, knowledge)
        if len(data) <= _SHORT
        else _found_in(data, content_type, knowledge)
    )


def found_among(texts: Sequence[str], knowledge: Knowledge) -> dict[str, int]:
    """The same of texts that have nothing to do with each other."""
    data = [text.encode("utf-8", "surrogatepass") for text in texts]
    if len(data) == 1:
        return found_in(data[0], "text/plain", knowledge)
    plan, _ = _everything(knowledge)
    joined = b"\n".join(data)
    if delimiters.absorbing(plan.detector, b"\n").isdisjoint(plan.detector.opens(joined)):
        return counts(plan.detector, joined)
    # What a rule takes for one value could be the end of one and the beginning of another.
    found: Counter[str] = Counter()
    for one in data:
        found += Counter(counts(plan.detector, one))
    return dict(found)


@lru_cache(maxsize=1024)
def _found_in_short(data: bytes, content_type: str, knowledge: Knowledge) -> dict[str, int]:
    """Programs ask for the same over and over."""
    return _found_in(data, content_type, knowledge)


def _found_in(data: bytes, content_type: str, knowledge: Knowledge) -> dict[str, int]:
    form = shape(content_type)
    plan, only = _everything(knowledge)
    unsure = form in (Shape.UNSURE_TEXT, Shape.UNSURE_BINARY)
    if form in (Shape.TEXT, Shape.BINARY) or (unsure and not _LIKE_JSON.match(data)):
        return counts(plan.detector, data)
    if form not in _LOOSE:
        return _counted(_stage(plan, content_type, only), data)
    try:
        return _counted(_stage(replace(plan, lenient=True), content_type, only), data)
    except MaskError:
        return counts(plan.detector, data)


def _counted(stage: Stage, data: bytes) -> dict[str, int]:
    for at in range(0, len(data), SLICE):
        stage.feed(data[at : at + SLICE])
    stage.finish()
    return stage.counts


def warm(knowledge: Knowledge) -> None:
    """Compile what every request needs, and show it the rules' own cases, so that no request pays for that: half a
    second of CPU. A rule's own automaton is made when it is first needed (a millisecond)."""
    rules = knowledge.engine.rules
    plan, _ = _everything(knowledge)
    cases = "\n".join(case for rule in rules for case in rule.positive + rule.negative).encode()
    for at in range(0, len(cases), SLICE):
        plan.detector.opens(cases[at : at + SLICE])
    common = "\n".join(case for rule in rules if not rule.contextual for case in rule.positive[:1]).encode()
    for chosen in (plan, Plan(knowledge.detector(frozenset()))):
        stage = TextStage(chosen)
        for at in range(0, len(common), 1024):
            stage.feed(common[at : at + 1024])
        stage.finish()
    found_in(b'{"ssn":"123456789","a":["' + b"x\\n" * 99 + b'",1e3]}', "application/json", knowledge)


def forget() -> None:
    """Let go of what is remembered of rules that are replaced: an engine has 50 MB, and who edits rules does so often.
    What is in force is made anew when it is next needed; streams that are under way keep theirs."""
    for remembered in (
        _everything,
        _found_in_short,
        _planned,
        plan_without,
        redactor,
        shortest_of,
        names,
        called,
        open_kinds,
        for_approvers,
        for_records,
    ):
        remembered.cache_clear()
    delimiters.forget()


@lru_cache(maxsize=4)
def _everything(knowledge: Knowledge) -> tuple[Plan, Plan | None]:
    return Plan(knowledge.detector()), _only(knowledge)


@lru_cache(maxsize=1024)
def _planned(masks: tuple[Mask, ...], lane: str, knowledge: Knowledge) -> tuple[Plan | None, Plan | None]:
    """What the masks ask for on a lane, or None; and the plan that finds the credentials masked there and nothing else,
    or None. Raises MaskError."""
    masks = tuple(mask for mask in masks if lane in mask.lanes)
    credentials = lane == _RESPONSE or any(mask.selects(CREDENTIAL, SECRET) for mask in masks)
    if not credentials:
        knowledge = knowledge.without_credentials()
    families = {**knowledge.engine.families, CREDENTIAL: SECRET}
    for mask in masks:
        _possible(mask, families)
    operators: dict[str, Operator] = {}
    for mask in masks:
        chosen = [kind for kind, family in families.items() if mask.selects(kind, family)]
        for kind in [*chosen, *(f"key:{key.lower()}" for key in mask.keys)]:
            operators[kind] = mask.operator.strictest(operators.get(kind, mask.operator))
    if Operator.HASH in operators.values() and not knowledge.hash_key:
        raise MaskError("a mask asks for hashes, and there is no key for them")
    kinds = frozenset(kind for kind in operators if kind in knowledge.engine.families)
    keys = frozenset(key for mask in masks for key in mask.keys)
    only = _only(knowledge)
    if not kinds and not keys:
        return None, only
    # In text a value that a name selects goes to the next blank, and names have no escapes: the rest would pass.
    lenient = bool(masks) and not keys and all(mask.lenient for mask in masks)
    return Plan(knowledge.detector(kinds), keys, operators, knowledge.hash_key, lenient), only


def _possible(mask: Mask, families: Mapping[str, str]) -> None:
    """Raises MaskError where a mask can't be carried out."""
    if any(len(key) > KEY_LENGTH for key in mask.keys):
        raise MaskError(f"policy {mask.policy}: a name of more than {KEY_LENGTH} characters")
    if unknown := {*mask.kinds, *mask.excepted} - set(families) - GROUPS - {EVERY}:
        raise MaskError(
            f"policy {mask.policy} masks what nobody knows: {', '.join(sorted(unknown))}; `holdpoint masking list` "
            "has the kinds and families that there are"
        )


def _only(knowledge: Knowledge) -> Plan | None:
    """What finds the credentials that are known and nothing else; None where none is."""
    return Plan(knowledge.detector(frozenset())) if knowledge.credentials else None


def _stage(plan: Plan, content_type: str, only: Plan | None, answers: bool = False) -> Stage:
    """The stage for a type; with `answers`, JSON may be a model's answer in pieces."""
    form, stage = shape(content_type), _shaped(plan, content_type, only, answers)
    return stage if form in _BYTES else NarrowStage(stage)


def _shaped(plan: Plan, content_type: str, only: Plan | None, answers: bool) -> Stage:
    match shape(content_type):
        case Shape.JSON:
            json = partial(_json, plan)
            return _behind(AnswerStage(plan, json) if answers else json(), only)
        case Shape.EVENTS:
            return _behind(SseStage(plan), only)
        case Shape.FORM:
            return FormStage(plan, only)
        case Shape.MULTIPART:
            return _behind(MultipartStage(plan, content_type, partial(_part, plan)), only)
        case Shape.CSV:
            return _behind(CsvStage(plan, content_type), only)
        case Shape.XML | Shape.HTML as form:
            return _behind(XmlStage(plan, html=form is Shape.HTML), only)
        case Shape.TEXT | Shape.BINARY as form:
            return TextStage(plan.in_text(), fill=form is Shape.BINARY)
        case form:
            fill = form is Shape.UNSURE_BINARY
            return SniffStage(lambda: _behind(_json(plan), only), lambda: TextStage(plan.in_text(), fill=fill))


def _part(plan: Plan, content_type: str, name: str | None) -> Stage:
    """The stage of one part of a multipart body; what has no structure of its own stands under the part's name."""
    named = plan.detector.named(name) if name else frozenset[int]()
    form = shape(content_type)
    if not named or form not in (Shape.TEXT, Shape.UNSURE_TEXT):
        return _stage(plan, content_type, None)
    text = partial(TextStage, plan.in_text(), named=named)
    return NarrowStage(text() if form is Shape.TEXT else SniffStage(partial(_json, plan), text))


def _json(plan: Plan) -> Stage:
    stage: Stage = LenientStage(plan) if plan.lenient else JsonStage(plan)
    return DropStage(stage, plan.lenient) if plan.drops else stage


def _behind(stage: Stage, credentials: Plan | None) -> Stage:
    return stage if credentials is None else RawBehind(stage, credentials)


def _guard(content_type: str, only: Plan) -> Stage:
    """The stage where no policy asks for a mask, and credentials alone are looked for. It takes what comes: nobody
    chose that this body has to be well-formed, or in a character set that is read."""
    try:
        form = shape(content_type)
    except MaskError:
        return TextStage(only, fill=True)
    match form:
        case Shape.JSON:
            return RawBehind(SpeltStage(only), only)
        case Shape.EVENTS:
            return RawBehind(SseStage(only, bound=_GUARDED_EVENT), only)
        case Shape.FORM:
            return FormStage(only, credentials=only)
        case Shape.UNSURE_TEXT | Shape.UNSURE_BINARY:
            fill = form is Shape.UNSURE_BINARY
            return SniffStage(lambda: RawBehind(SpeltStage(only), only), lambda: TextStage(only, fill=fill), trial=0)
    return TextStage(only, fill=form is Shape.BINARY)
