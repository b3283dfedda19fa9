"""What is asked, and what goes wrong when: both follow from a seed. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SECRET = "AKIAIOSFODNN7EXAMPLE"
"""Stands in some requests; no upstream may get it. An example key of AWS's own."""

CARD = "4111111111111111"
"""Stands in many answers of the upstream; no client may get it. A well-known test number."""

PRINCIPALS = 24
LARGE = 96 * 1024


class Kind(StrEnum):
    """What a request is for."""

    READ = "read"
    REPORT = "report"
    WRITE = "write"
    SECRET = "secret"
    UPLOAD = "upload"
    SLOW = "slow"
    BLOCKED = "blocked"
    HELD = "held"
    STRANGER = "stranger"
    LEAVES = "leaves"


_SHARES = {
    Kind.READ: 520,
    Kind.REPORT: 20,
    Kind.WRITE: 200,
    Kind.SECRET: 80,
    Kind.UPLOAD: 10,
    Kind.SLOW: 20,
    Kind.BLOCKED: 100,
    # A principal opens at most sixty holds in ten minutes.
    Kind.HELD: 5,
    Kind.STRANGER: 25,
    Kind.LEAVES: 20,
}
REFUSED = frozenset({Kind.BLOCKED, Kind.STRANGER})
"""What must never reach an upstream, whatever breaks."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Its number is in its path, where gateway and upstream see it, and no two have the same."""

    number: int
    kind: Kind
    principal: int
    target: str
    method: str
    path: str
    body: bytes

    def wire(self, token: str) -> bytes:
        """The request as HTTP/1.1, with this bearer token."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nhost: {self.target}.holdpoint.internal\r\n"
        if self.kind is not Kind.STRANGER:
            head += f"authorization: Bearer {token}\r\n"
        if self.body:
            head += f"content-type: application/json\r\ncontent-length: {len(self.body)}\r\n"
        return f"{head}\r\n".encode() + self.body


def ask(seed: int, number: int) -> Ask:
    """The request of that number."""
    chance = random.Random(f"{seed}:{number}")
    kind = chance.choices(tuple(_SHARES), tuple(_SHARES.values()))[0]
    method, target, path = "GET", "shop", f"/items/{number}"
    body = b""
    match kind:
        case Kind.REPORT:
            path = f"/reports/{number}"
        case Kind.SLOW:
            path = f"/slow/{number}"
        case Kind.WRITE | Kind.SECRET | Kind.UPLOAD:
            method, target = "POST", "lab"
            # Some bodies are alike, so that what is kept by its content is kept once.
            note = "x" * LARGE if kind is Kind.UPLOAD else f"note {chance.randrange(500)}"
            secret = f', "key": "{SECRET}"' if kind is Kind.SECRET else ""
            body = f'{{"note": "{note}"{secret}}}'.encode()
        case Kind.BLOCKED:
            method, path = "DELETE", f"/items/{number}/all"
        case Kind.HELD:
            method = "DELETE"
    return Ask(number, kind, chance.randrange(PRINCIPALS), target, method, path, body)


def approves(number: int) -> bool:
    """Whether people approve the held request of that number; they deny the others."""
    return number % 3 != 0


class Fault(StrEnum):
    """What goes wrong."""

    KILL = "kill -9"
    PAUSE = "pause"
    JAEGER = "jaeger away"
    DISK = "disk full"
    POWER = "all killed"


@dataclass(frozen=True, slots=True)
class Event:
    """One fault: what, to which program ("" where it has none), after so many more answers; `seconds` is how long it
    lasts, beyond what it takes to be felt."""

    fault: Fault
    victim: str
    after: int
    seconds: float = 0.0

    @property
    def label(self) -> str:
        """For people, and to count by: all workers are one."""
        victim = "worker" if self.victim.startswith("worker-") else self.victim
        return f"{self.fault} {victim}".rstrip()


def deck(chance: random.Random, programs: tuple[str, ...], gap: int, disk: bool) -> list[Event]:
    """One of each fault in a random order, `gap` answers between two on average; of the workers one is chosen."""
    workers = [name for name in programs if name.startswith("worker-")]
    others = [name for name in programs if not name.startswith("worker-")]
    drawn = [(Fault.KILL, name) for name in (chance.choice(workers), *others)]
    drawn += [(Fault.PAUSE, name) for name in (chance.choice(workers), chance.choice(others))]
    drawn += [(Fault.JAEGER, ""), (Fault.POWER, "")]
    if disk:
        drawn.append((Fault.DISK, ""))
    chance.shuffle(drawn)
    return [Event(f, name, chance.randint(gap // 2, gap * 3 // 2), chance.uniform(0.05, 1.5)) for f, name in drawn]


def faults(seed: int, programs: tuple[str, ...], gap: int, disk: bool) -> Iterator[list[Event]]:
    """Decks of faults without end."""
    chance = random.Random(seed)
    while True:
        yield deck(chance, programs, gap, disk)
