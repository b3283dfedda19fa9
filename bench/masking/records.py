"""Made-up lines of logs and answers of APIs: full of what looks like a secret and is none.

Addresses of clients are left out, as an operator leaves them out who keeps no personal data: they would be findings.
"""

import base64
import hashlib
import random

NAMES = ("Ada", "Boris", "Chen", "Dilek", "Emeka", "Farah", "Goran", "Hana", "Ivo", "Juana", "Kofi", "Lena")
THINGS = ("invoice", "shipment", "ticket", "refund", "contract", "report", "sensor", "backup", "release", "meeting")
VERBS = ("moved", "closed", "checked", "merged", "scheduled", "postponed", "opened", "approved", "counted")
BEGAN = 1_767_225_600
"""1 January 2026 in seconds."""

_PATHS = ("orders", "items", "reports", "assets/app", "v2/search", "health", "sessions", "carts", "images/thumbs")
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.9.1", "kube-probe/1.30",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
)  # fmt: skip


def hexadecimal(rng: random.Random, digits: int) -> str:
    """So many random digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid(rng: random.Random) -> str:
    """A random UUID (version 4)."""
    digits = hexadecimal(rng, 32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def digest(rng: random.Random) -> str:
    """A sha256."""
    return hashlib.sha256(rng.randbytes(8)).hexdigest()


def stamp(clock: float) -> str:
    """A time of January 2026 as in ISO 8601, with milliseconds."""
    days, rest = divmod(int(clock) - BEGAN, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    millis = int(clock * 1000) % 1000
    return f"2026-01-{1 + days % 28:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"


def line(rng: random.Random, clock: float) -> str:
    """A line of an access log, a service, a build or a container runtime, without its end."""
    return rng.choice((_access, _service, _build, _container))(rng, clock)


def answer(rng: random.Random) -> dict[str, object]:
    """An answer of an API: a page of items."""
    return {
        "request_id": uuid(rng),
        "next_token": None,
        "total": rng.randint(1, 10**6),
        "items": [_item(rng) for _ in range(rng.randint(1, 4))],
    }


def _item(rng: random.Random) -> dict[str, object]:
    thumbnail = base64.b64encode(rng.randbytes(rng.randint(60, 240))).decode()
    return {
        "id": rng.randint(10**11, 10**18),
        "ref": f"{rng.choice(THINGS)[:3].upper()}-{rng.randint(10**7, 10**8)}",
        "sku": f"{hexadecimal(rng, 7).upper()}-{rng.randint(100, 999)}",
        "ean": str(rng.randint(10**12, 10**13 - 1)),
        "title": f"{rng.choice(THINGS)} {rng.choice(VERBS)}",
        "owner": rng.choice(NAMES),
        "price": round(rng.random() * 900, 2),
        "score": rng.random(),
        "sha256": digest(rng),
        "etag": hexadecimal(rng, 32),
        "updated_at": stamp(BEGAN + rng.random() * 10**6),
        "version": _version(rng),
        "thumbnail": f"data:image/png;base64,{thumbnail}",
        "cursor": base64.urlsafe_b64encode(rng.randbytes(24)).decode(),
        "tags": rng.sample(THINGS, 3),
    }


def _access(rng: random.Random, clock: float) -> str:
    request = (
        f"{rng.choice(('GET', 'GET', 'POST', 'PUT'))} /{rng.choice(_PATHS)}/{uuid(rng)}?v={_version(rng)} HTTP/1.1"
    )
    status, size = rng.choice((200, 200, 204, 304, 404, 502)), rng.randint(0, 90_000)
    agent = rng.choice(_AGENTS)
    return f'- - [{stamp(clock)}] "{request}" {status} {size} "-" "{agent}" {rng.random():.6f} {hexadecimal(rng, 16)}'


def _service(rng: random.Random, clock: float) -> str:
    level, thing = rng.choice(("INFO", "INFO", "WARN", "DEBUG")), rng.choice(THINGS)
    return (
        f"{stamp(clock)} {level} [{thing}-worker-{rng.randint(0, 9)}] trace_id={hexadecimal(rng, 32)} "
        f"span_id={hexadecimal(rng, 16)} order={rng.randint(10**15, 10**16)} customer={rng.randint(10**6, 10**8)} "
        f"took={rng.randint(1, 90_000_000)}ns offset={rng.randint(10**9, 10**12)} ts={int(clock * 1e9)} "
        f'msg="{thing} {rng.choice(VERBS)}" etag=W/"{hexadecimal(rng, 20)}"'
    )


def _build(rng: random.Random, clock: float) -> str:
    match rng.randrange(5):
        case 0:
            return f"#{rng.randint(1, 40)} sha256:{digest(rng)} {rng.randint(1, 90)}.{rng.randint(10, 99)}MB / 90.12MB"
        case 1:
            return f"commit {hexadecimal(rng, 40)} (HEAD -> main, tag: v{_version(rng)})"
        case 2:
            return f"    lodash@^4.17.21: integrity sha512-{base64.b64encode(rng.randbytes(64)).decode()}"
        case 3:
            return f"{int(clock)} PASS src/{rng.choice(THINGS)}.test.ts ({rng.random() * 9:.3f} s)"
    commit = f"v0.0.0-202511{rng.randint(10, 28)}123456-{hexadecimal(rng, 12)}"
    return f"example.org/{rng.choice(THINGS)} {commit}/go.mod h1:{base64.b64encode(rng.randbytes(32)).decode()}"


def _container(rng: random.Random, clock: float) -> str:
    pod = f"shop/{rng.choice(THINGS)}-{hexadecimal(rng, 10)}-{rng.choice(NAMES).lower()[:3]}x{rng.randint(10, 99)}"
    return (
        f"I0101 {stamp(clock)[11:23]}000 {rng.randint(1, 30_000):7} kubelet.go:{rng.randint(100, 2999)}] "
        f'"SyncLoop" pod="{pod}" UID={uuid(rng)} containerID=containerd://{digest(rng)} cpu={rng.random():.12f}'
    )


def _version(rng: random.Random) -> str:
    return f"{rng.randint(0, 9)}.{rng.randint(0, 40)}.{rng.randint(0, 99)}"
