"""The two lanes after a Grant: stages that the Grant's obligations choose, between what comes in and what goes on."""

from collections.abc import Sequence

from extproc.domain.grant import Grant, Lane
from extproc.domain.mask import Mask
from extproc.masking.build import asked_by_name, build, mask_value
from extproc.masking.engine.span import add
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.coding import WORKSPACE, Decoded, Same, UnknownCoding, codings
from extproc.protocols.http import headers
from extproc.protocols.http.message import RequestHead
from extproc.protocols.http.refuse import problem
from extproc.protocols.session import BITE, Abort, Command, Head, Send, SendHead, SendTrailers

# They speak of the body as it was before the masks.
_BODY_BOUND = ("content-digest", "content-length", "content-md5", "digest", "etag", "repr-digest")
_STREAMED = "text/event-stream"

# Without these nobody could read the message: no mask selects them by name. Their values are searched.
_ABOUT_THE_MESSAGE = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "date", "te", "trailer", "transfer-encoding"}
)

CODED_BITE = 4 << 10
"""Bytes of a coded body at once. They mean 4 MiB at most, and 1 MiB more once (see coding.RATIO)."""

EVENTS_BITE = 384
"""Bytes of an event stream at once. Each event is work of its own, and where it touches its neighbours it is read with
them, in several ways: of text in tiny events 4 KiB take up to 45 ms, so much of it some 4."""


class Masked:
    """Bytes through a stage, counted. Without a stage, bytes through. `held` estimates what the stage holds back.
    `known` is what can be found in heads and trailers. `bite` is how much of the body it takes at once."""

    def __init__(self, stage: Stage | None, known: Knowledge, content_type: str) -> None:
        self.stage = stage
        self.known = known
        self.bytes = 0
        coded, events = isinstance(stage, Decoded), stage is not None and content_type.lower().startswith(_STREAMED)
        self.bite = CODED_BITE if coded else EVENTS_BITE if events else BITE
        self._workspace = WORKSPACE if coded else 0
        self.held = self._workspace
        self.header_counts: dict[str, int] = {}

    def push(self, data: bytes, end: bool) -> bytes:
        """The bytes that may go on now. Raises MaskError."""
        if self.stage is not None:
            self.held += len(data)
            data = self.stage.feed(data)
            if end:
                data += self.stage.finish()
            self.held = 0 if end else max(self._workspace, self.held - len(data))
        self.bytes += len(data)
        return data

    def counts(self) -> dict[str, int]:
        """Values masked so far, by kind."""
        return add(dict(self.stage.counts) if self.stage is not None else {}, self.header_counts)

    def headers(self, masks: Sequence[Mask], lane: Lane, head: Head) -> list[tuple[str, str]]:
        """The headers whose values the masks change, with their new values. Raises MaskError."""
        changed, counts = masked_headers(masks, lane, head, self.known)
        add(self.header_counts, counts)
        return [(name, value) for name, values in changed.items() for value in values]


def masked_headers(
    masks: Sequence[Mask], lane: Lane, head: Head, known: Knowledge
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """The values of the headers that the masks change, by name, and how many values were masked by kind. Raises
    MaskError."""
    masked = headers.masked_in_answers if lane is Lane.RESPONSE else headers.masked
    visible = [(n, v) for n, v in head.headers if masked(n)]
    found: dict[str, int] = {}
    named = any(_named(masks, lane, n, known) for n, _ in visible)
    if not named and not mask_value(masks, lane.value, "\n".join(v for _, v in visible), known)[1]:
        return {}, found
    changed: dict[str, list[str]] = {}
    touched: set[str] = set()
    for name, value in visible:
        text, counts = _mask_header(masks, lane, name, value, known)
        changed.setdefault(name, []).append(text)
        if counts:
            touched.add(name)
            add(found, counts)
    return {name: values for name, values in changed.items() if name in touched}, found


def _named(masks: Sequence[Mask], lane: Lane, name: str, known: Knowledge) -> bool:
    return name not in _ABOUT_THE_MESSAGE and asked_by_name(masks, lane.value, name, known)


def _mask_header(
    masks: Sequence[Mask], lane: Lane, name: str, value: str, known: Knowledge
) -> tuple[str, dict[str, int]]:
    field = "" if name in _ABOUT_THE_MESSAGE else name
    return mask_value(masks, lane.value, value, known, field)


class RequestLane(Masked):
    """What the client sent, on its way to the upstream. A coded body that was `read`, or is masked, is decoded and
    coded again: what goes on then is all that was seen, and in one member. Raises MaskError."""

    def __init__(self, grant: Grant, head: RequestHead, known: Knowledge, in_bodies: Knowledge, read: bool) -> None:
        stage = build(grant.decision.masks, Lane.REQUEST.value, head.content_type_value, in_bodies)
        if (read or stage is not None) and (applied := codings([head.content_encoding])):
            stage = Decoded(stage or Same(), applied)
        super().__init__(stage, known, head.content_type_value)
        self._in_bodies = in_bodies
        self._grant = grant
        self._head = head

    def open(self, data: bytes, end: bool, has_body: bool) -> list[Command]:
        """Send the head, and the body as far as it is here. `end`: it is here whole. Raises MaskError."""
        grant, masks = self._grant, self._grant.decision.masks
        changes = self.headers(masks, Lane.REQUEST, Head(self._head.headers))
        out = self.push(data, end) if has_body else b""
        remove = self._head.dropped_headers()
        if self.stage is not None and has_body:
            remove += [n for n in _BODY_BOUND if n != "content-length"]
            if end:
                changes.append(("content-length", str(len(out))))
            else:
                remove.append("content-length")
        if self._in_bodies.credentials or any(Lane.RESPONSE.value in m.lanes for m in masks):
            # What is not whole can't be masked, and what is coded takes more work: ask for it whole and uncoded.
            changes.append(("accept-encoding", "identity"))
            remove += ["if-range", "range"]
        commands: list[Command] = [SendHead(Lane.REQUEST, grant, tuple(changes), tuple(remove))]
        if has_body and (out or end):
            commands.append(Send(Lane.REQUEST, out, grant, end))
        return commands

    def more(self, data: bytes, end: bool) -> list[Command]:
        """More of a streamed body. Raises MaskError."""
        out = self.push(data, end)
        return [Send(Lane.REQUEST, out, self._grant, end)] if out or end else []


class ResponseLane(Masked):
    """What the upstream answered, on its way to the client."""

    def __init__(self, grant: Grant, head: Head, end: bool, known: Knowledge, in_bodies: Knowledge) -> None:
        self._grant = grant
        self._head = head
        named = dict(head.headers)
        kind = named.get("content-type", "")
        self.status = int(named.get(":status", "0"))
        stage = None if end else build(grant.decision.masks, Lane.RESPONSE.value, kind, in_bodies)
        self.unreadable = ""
        try:
            # Every one of them counts: the last may say `identity` and the first not.
            applied = codings(v for n, v in head.headers if n == "content-encoding")
        except UnknownCoding as error:
            self.unreadable = str(error) if stage is not None else ""
        else:
            # Coded though it was asked for uncoded: it goes on as it was asked for.
            stage = Decoded(stage, applied, plain=True) if stage is not None and applied else stage
        super().__init__(stage, known, kind)
        masked = any(Lane.RESPONSE.value in m.lanes for m in grant.decision.masks)
        # Where credentials alone are looked for, no body is refused, and a watch's head must not wait for its body.
        self._withheld = masked and self.stage is not None and not kind.lower().startswith(_STREAMED)

    def open(self, end: bool) -> list[Command]:
        """Send the head, or withhold it until the masks have vouched for some of the body."""
        if self.status < 200:
            # Nobody asked for another protocol: what follows is no answer, and nobody would read it.
            return [_bad_gateway("unasked-switch", "The upstream changes to a protocol that nobody asked for.")]
        if self.unreadable:
            return [_bad_gateway("unreadable-coding", f"The upstream's answer can't be masked: {self.unreadable}.")]
        return [] if self._withheld else [self._send_head(None)]

    def more(self, data: bytes, end: bool) -> list[Command]:
        """More of the body. A body that the masks can't vouch for ends the exchange."""
        try:
            out = self.push(data, end)
        except MaskError as error:
            if self._withheld:
                return [unmaskable(error)]
            return [Abort("unmaskable-response")]
        commands: list[Command] = []
        if self._withheld and (out or end):
            self._withheld = False
            commands.append(self._send_head(len(out) if end else None))
        if not self._withheld and (out or end):
            commands.append(Send(Lane.RESPONSE, out, self._grant, end))
        return commands

    def trailers(self, head: Head) -> list[Command]:
        """The body ends with trailers: flush what is held, then let those go on that hold nothing to mask."""
        try:
            rest = self.stage.finish() if self.stage is not None else b""
        except MaskError as error:
            if self._withheld:
                return [unmaskable(error)]
            return [Abort("unmaskable-response")]
        self.bytes += len(rest)
        commands: list[Command] = []
        if self._withheld:
            self._withheld = False
            commands.append(self._send_head(None))
        if rest:
            commands.append(Send(Lane.RESPONSE, rest, self._grant, False))
        masks = self._grant.decision.masks
        unfit = {n for n, v in head.headers if _mask_header(masks, Lane.RESPONSE, n, v, self.known)[1]}
        return [*commands, SendTrailers(Lane.RESPONSE, self._grant, tuple(sorted(unfit | self._not_for_agents(head))))]

    def _send_head(self, length: int | None) -> SendHead:
        changes = self.headers(self._grant.decision.masks, Lane.RESPONSE, self._head)
        remove = sorted(self._not_for_agents(self._head))
        if self.stage is not None:
            remove += _BODY_BOUND if length is None else [n for n in _BODY_BOUND if n != "content-length"]
            remove.append("accept-ranges")
            if isinstance(self.stage, Decoded):
                remove.append("content-encoding")
            if length is not None:
                changes.append(("content-length", str(length)))
        return SendHead(Lane.RESPONSE, self._grant, tuple(changes), tuple(remove))

    def _not_for_agents(self, head: Head) -> set[str]:
        """Credentials and sessions made with them, by name whether they were seen here or not: Envoy need not show
        every header. And the names that only we may use, or that are a credential themselves."""
        names = {n for n, _ in head.headers if n[:1] != ":"}
        unfit = {n for n in names if n.startswith("x-holdpoint-")}
        # Found in all of them together or, as nearly always, in none.
        if self.known.credentials and mask_value((), Lane.RESPONSE.value, "\n".join(names), self.known)[1]:
            unfit |= {n for n in names if mask_value((), Lane.RESPONSE.value, n, self.known)[1]}
        return {*headers.NOT_FOR_AGENTS, *unfit}


def unmaskable(error: MaskError) -> Command:
    """What the client gets in place of an answer that the masks can't vouch for."""
    return _bad_gateway("unmaskable-response", f"The upstream's answer can't be masked: {error}.")


def _bad_gateway(code: str, detail: str) -> Command:
    return problem(502, code, "The answer could not be vouched for", detail)
