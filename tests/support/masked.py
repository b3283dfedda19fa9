"""A gateway whose policy masks what a test's table says, and what it let through: on the wire and in records."""

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from extproc.audit.bodies.folder import BodyFolder
from tests.support.envoy_upstream import Answer, Seen
from tests.support.flows import chunk, until
from tests.support.gateway import Gateway

Table = Mapping[str, Sequence[Mapping[str, object]]]
"""The masks of all paths that begin with a word, as findings have them."""

CARD, SSN, EMAIL = "4111 1111 1111 1111", "219-09-9998", "jane.doe@example.com"
PLAIN = CARD.replace(" ", "")
TOKEN = "ghp_" + "a1B2" * 9

CODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "gzip, br": lambda data: bytes(brotli.compress(gzip.compress(data))),
}
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
    "gzip, br": lambda data: gzip.decompress(brotli.decompress(data)),
}

_POLICY = """# METADATA
# scope: package
# title: What a test wants masked
# description: For tests. Everything else is allowed, and told in full.
# custom:
#   id: http.table
#   severity: info
#   mode: enforce
package holdpoint.policies.http.table

import data.holdpoint.lib.http

masks := %s

findings contains {
\t"code": "table",
\t"effect": "allow",
\t"message": json.marshal(input.action.facts.sensitive.body),
}

findings contains finding if {
\tsome mask in masks[http.words[0]]
\tfinding := {"code": "masked", "effect": "mask", "message": "By the table.", "mask": mask}
}
"""


def made(table: Table, *, masking: str = "", shipped: Sequence[str] = (), **options: Any) -> Gateway:
    """A gateway, not started yet. `masking` are members of this section of its configuration; `shipped` are policies
    that come with Holdpoint."""
    gateway = Gateway(policy="path: policies", **options)
    folder = gateway.folder / "policies" / "http" / "table"
    folder.mkdir(parents=True)
    (folder.parents[1] / "library.yaml").write_text(f"include_shipped: {json.dumps(list(shipped))}\n")
    (folder / "table.rego").write_text(_POLICY % json.dumps(table, indent="\t"))
    if masking:
        gateway.config.write_text(f"{gateway.config.read_text()}masking: {{{masking}}}\n")
    return gateway


def whole(body: bytes, content_type: str, *more: str) -> Answer:
    """An answer with all that speaks of its bytes; `more` are header lines."""
    head = ["HTTP/1.1 200 OK", f"content-type: {content_type}", f"content-length: {len(body)}", 'etag: "v1"']
    head += ["digest: sha-256=eA==", "content-digest: sha-256=:eA==:", "accept-ranges: bytes", *more, "", ""]
    return lambda _: ["\r\n".join(head).encode() + body]


def pieces(content_type: str, *data: bytes, more: Iterable[str] = (), trailers: Iterable[str] = ()) -> Answer:
    """An answer in chunks, with these header lines and trailers."""
    head = ["HTTP/1.1 200 OK", f"content-type: {content_type}", "transfer-encoding: chunked", *more, "", ""]
    end = "\r\n".join(["0", *trailers, "", ""])
    return lambda _: ["\r\n".join(head).encode(), *map(chunk, data), end.encode()]


def sent(seen: Seen) -> bytes:
    """The body that an upstream got, without the framing."""
    if "transfer-encoding" not in seen.headers:
        return seen.body
    found, rest = b"", seen.body
    while size := int(rest.split(b"\r\n")[0], 16):
        start = rest.index(b"\r\n") + 2
        found, rest = found + rest[start : start + size], rest[start + size + 2 :]
    return found


def decided(gateway: Gateway, path: str) -> dict[str, Any]:
    """The last decision on a path."""
    return [d for d in gateway.records("decision") if d["action"]["resource"] == path][-1]


def delivered(gateway: Gateway, path: str) -> dict[str, Any]:
    """The delivery of the last request of a path, once it is recorded."""
    decision = decided(gateway, path)["decision"]["id"]

    def found() -> list[dict[str, Any]]:
        return [d for d in gateway.records("delivery") if d["decision"] == decision]

    until(lambda: bool(found()), f"the delivery of {path}")
    return found()[0]


def counted(gateway: Gateway, path: str) -> dict[str, Any]:
    """What was masked of the last request of a path, by lane and kind."""
    return dict(delivered(gateway, path)["masked"])


def policy_saw(gateway: Gateway, path: str) -> dict[str, int]:
    """How many values of each kind policy was told of in the body of the last request of a path."""
    reasons = decided(gateway, path)["decision"]["reasons"]
    (told,) = [r["message"] for r in reasons if r["policy"] == "http.table" and r["code"] == "table"]
    return dict(json.loads(told))


def recorded(gateway: Gateway, path: str, lane: str) -> bytes:
    """The recorded body of the last request of a path."""
    address = delivered(gateway, path)["bodies"][lane]["address"]
    return _content(BodyFolder(gateway.state / "bodies"), address)


def _content(bodies: BodyFolder, address: str) -> bytes:
    return b"".join(bodies.open(address))


def leaks(gateway: Gateway, *secrets: str) -> list[str]:
    """Where one of these stands: files of the state, recorded bodies, the log."""
    bodies = BodyFolder(gateway.state / "bodies")
    places: dict[str, Callable[[], bytes]] = {"the log": lambda: json.dumps(gateway.log).encode()}
    for file in gateway.state.rglob("*"):
        if file.is_file() and file.relative_to(gateway.state).parts[0] not in ("bodies", "keys"):
            places[str(file)] = file.read_bytes
    for address in bodies.list():
        places[address] = partial(_content, bodies, address)
    return [name for name, read in places.items() if any(s.encode() in data for data in [read()] for s in secrets)]


def bound(reply: httpx.Response) -> set[str]:
    """Headers of an answer that speak of a body which is not this one."""
    stale = {"etag", "digest", "content-digest", "accept-ranges", "content-encoding"} & set(reply.headers)
    length = reply.headers.get("content-length")
    return stale | ({"content-length"} if length not in (None, str(len(reply.content))) else set())
