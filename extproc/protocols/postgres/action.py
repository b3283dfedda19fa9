"""From a statement to the Action that policy decides. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import orjson

from extproc.domain.action import Action, Unrenderable
from extproc.domain.json import JSON
from extproc.domain.mask import SECRET, Mask
from extproc.domain.principal import Principal
from extproc.domain.target import Protocol, Target
from extproc.masking.build import found_among, found_in
from extproc.masking.hiding import Hiding, cover, for_approvers
from extproc.masking.plan import Knowledge
from extproc.masking.redact import plain
from extproc.protocols.digest import keyed
from extproc.protocols.postgres.sql import Script, Setting, Statement
from extproc.protocols.postgres.sql.covering import for_approver
from extproc.protocols.postgres.summary import Told, tables_of, written
from extproc.protocols.postgres.surroundings import Surroundings
from extproc.protocols.shown import RENDER_BYTES

TRANSACTION = {"I": "idle", "T": "open", "E": "failed"}
"""What ReadyForQuery says, in policy's words."""

_CONTROL = frozenset({"begin", "commit", "rollback", "savepoint", "release", "set", "empty"})
_SCRIPT = "SCRIPT"
_MOST_NAMES = 5
_MOST_SCRIPTS = 512
"""Whose verb and resource are remembered."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that gives a statement its meaning besides its text: who asks what target, in which database, as which user
    and role of the server, by which search_path (None: not known any more), in which state of the transaction
    (ReadyForQuery's letter). `application` is the client's own claim. `around` is what else the server was
    asked for; None where it was not."""

    principal: Principal
    target: Target
    database: str
    user: str
    role: str
    search_path: str | None
    transaction: str = "I"
    application: str = ""
    around: Surroundings | None = None

    def with_state(self, transaction: str) -> "Scene":
        """The same in another state of the transaction."""
        return self if transaction == self.transaction else replace(self, transaction=transaction)

    def facts(self, phase: str) -> dict[str, JSON]:
        """The facts that every action of a connection has."""
        return {
            "phase": phase,
            "database": self.database,
            "user": self.user,
            "role": self.role,
            "search_path": self.search_path,
            "transaction": TRANSACTION[self.transaction],
            "application": self.application,
        }

    def shown(self) -> tuple[tuple[str, str | None], ...]:
        """What an approver is told of it, by name."""
        return (
            ("database", self.database),
            ("user", self.user),
            ("role", self.role),
            ("search_path", self.search_path),
        )

    def parts(self) -> list[str]:
        """What a digest binds of it."""
        who, target = self.principal, self.target
        path = "?" if self.search_path is None else f"={self.search_path}"
        return [
            "postgres", who.issuer, who.subject, who.acts_for or "", target.name, target.revision, self.database,
            self.user, self.role, path, self.transaction, *(() if self.around is None else self.around.parts()),
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: a text, what it says, and the values that it is bound to, both as they go on (`raw`) and as policy
    reads them. `types` are those that the client gave its parameters (OIDs). `prepared` says that it is not to be
    executed yet. `behind` are the texts of what it only names: the statement of an EXECUTE, the cursor of a FETCH.
    `unbound` says why no approval could bind all that it depends on; empty where one can."""

    sql: str
    script: Script
    values: tuple[JSON, ...] = ()
    raw: bytes = b""
    types: tuple[int, ...] = ()
    prepared: bool = False
    behind: tuple[str, ...] = ()
    unbound: str = ""

    def parts(self) -> list[str]:
        """What a digest binds of it, beside `raw`. What stands behind a name is bound by what it is: the name may stand
        for something else by the time that somebody has approved."""
        phase = "prepare" if self.prepared else "execute"
        return [phase, self.sql, repr(self.types), str(len(self.behind)), *self.behind]


def connecting(scene: Scene, settings: Sequence[tuple[str, str]], key: bytes) -> Action:
    """The action of opening a connection, in which the client wants these settings. `key` keys its digest."""
    # As the SET that it is, so that the same rules judge it.
    wanted = tuple(Setting(name.lower(), value, local=False) for name, value in settings)
    asked = [Statement("set", settings=wanted).document()] if wanted else []
    facts: dict[str, JSON] = {**scene.facts("connect"), "statements": asked, "complete": True}

    def render(_: tuple[Mask, ...]) -> str:
        lines = [f"CONNECT to {_line(scene.database)}"]
        lines += [f"SET {_line(name)} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings]
        return "\n".join([*lines, "(each statement is decided by itself)"])

    digest = keyed(key, [*scene.parts(), "connect", *(part for setting in settings for part in setting)])
    summary: dict[str, JSON] = {**scene.facts("connect"), "settings": dict(settings)}
    return Action(Protocol.POSTGRES, "CONNECT", scene.database, facts, summary, render, digest)


def action_of(asked: Asked, scene: Scene, known: Knowledge, key: bytes) -> Action:
    """The action of a statement, or of all in one Query. `key` keys its digest."""
    script = asked.script
    phase = "prepare" if asked.prepared else "execute"
    where = scene.facts(phase)
    sensitive, nothing = _sensitive(asked, known)
    facts: dict[str, JSON] = {
        **where,
        "text": asked.sql,
        "values": list(asked.values),
        "sensitive": sensitive,
        "statements": script.document,
        "complete": script.complete,
    }
    told = Told(where, known, asked.sql, asked.values, tables_of(script), nothing)
    summary = told.document()
    digest = keyed(key, [*scene.parts(), *asked.parts()], asked.raw)
    verb = "PREPARE" if asked.prepared else _verb(script)
    render = partial(_render, asked, scene, known)
    return Action(
        Protocol.POSTGRES,
        verb,
        _resource(script) or scene.database,
        facts,
        summary,
        render,
        digest,
        partial(told.under, summary),
        settled=scene.around is not None or bool(asked.unbound),
    )


def told_of(asked: Asked, scene: Scene, known: Knowledge) -> Told:
    """What records say of it."""
    phase = "prepare" if asked.prepared else "execute"
    return Told(scene.facts(phase), known, asked.sql, asked.values, tables_of(asked.script))


@lru_cache(maxsize=_MOST_SCRIPTS)
def _verb(script: Script) -> str:
    kinds = {s.kind for s in script.outer}
    kinds = kinds - _CONTROL or kinds
    return next(iter(kinds)).upper() if len(kinds) == 1 else _SCRIPT


@lru_cache(maxsize=_MOST_SCRIPTS)
def _resource(script: Script) -> str:
    """What it is about: the relations that it writes, or else reads, or else the objects that it defines."""
    of = script.statements
    things = (tuple(thing for thing in one.objects if thing.type != "language") for one in of)
    for found in ((one.writes for one in of), (one.reads for one in of), things):
        names = dict.fromkeys(written(each) for all_of_one in found for each in all_of_one)
        if names:
            more = [] if len(names) <= _MOST_NAMES else [f"… {len(names) - _MOST_NAMES} more"]
            return ", ".join([*list(names)[:_MOST_NAMES], *more])
    return ""


def _sensitive(asked: Asked, known: Knowledge) -> tuple[dict[str, JSON], bool]:
    """What kinds of value are in it, for policy, and whether there are none in the values that it is bound to."""
    values = [value for value in asked.values if isinstance(value, str)]
    found: dict[str, dict[str, JSON]] = {
        "text": _found(asked.sql, known),
        "values": dict(found_among(values, known)) if values else {},
    }
    if not found["values"]:
        # Else they would be looked through again when they are recorded.
        plain(values, known)
    families = {kind: known.engine.families.get(kind, SECRET) for part in found.values() for kind in part}
    return {**found, "families": families}, not found["values"]


def _found(text: str, known: Knowledge) -> dict[str, JSON]:
    return dict(found_in(text.encode("utf-8", "surrogatepass"), "text/plain", known)) if text else {}


def _render(asked: Asked, scene: Scene, known: Knowledge, masks: tuple[Mask, ...]) -> str:
    """What an approver sees: all that will run, and where, without the values that nobody should read in a list. Masks
    change what comes back, not what is asked. Lines are counted, for a text may have lines that look like ours."""
    if asked.unbound or scene.around is None:
        raise Unrenderable(asked.unbound or "What the statement depends on was not looked at")
    if len(asked.sql) + len(asked.raw) + sum(map(len, asked.behind)) > RENDER_BYTES:
        raise Unrenderable(f"The statement has more than the {RENDER_BYTES} bytes that a person is shown")
    if any(not isinstance(value, str | None) for value in asked.values):
        raise Unrenderable("A value of the statement is not text, so nobody could read what they approve")
    hiding = for_approvers(known)
    where = ", ".join(f"{name} {_line(value)}" for name, value in scene.shown())
    lines = [f"-- {where}, transaction {TRANSACTION[scene.transaction]}{_lines(asked.sql)}"]
    lines += [*scene.around.shown(masks), for_approver(asked.sql, hiding)]
    for number, value in enumerate(asked.values, 1):
        lines.append(f"-- ${number} = {_value(value, hiding)}")
    if any(statement.kind == "fetch" for statement in asked.script.statements):
        lines.append("-- a cursor gives rows from where it stands when this runs, which no approval binds")
    for text in asked.behind:
        lines += [f"-- which stands for{_lines(text)}", for_approver(text, hiding)]
    return "\n".join(lines)


def _value(value: JSON, hiding: Hiding) -> str:
    """A bind value as JSON: it may be masked as a whole, and as any text otherwise."""
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    data = value.encode("utf-8", "surrogatepass")
    return json.dumps(cover(data, hiding.field(data)).decode("utf-8", "surrogatepass"), ensure_ascii=False)


def _line(text: str | None) -> str:
    """A name on one line."""
    return json.dumps(text, ensure_ascii=False) if text is not None and not text.isprintable() else str(text)


def _lines(text: str) -> str:
    count = text.count("\n") + 1
    return f", {count} lines" if count > 1 else ""
