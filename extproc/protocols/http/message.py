"""Reading an HTTP request's head: names, paths, queries. Values stay as Envoy will forward them."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from extproc.domain.json import JSON
from extproc.protocols.http import headers, prefer
from extproc.protocols.session import Head

_LONGEST_TYPE = 256
_MOST_FIELDS = 1000
_MOST_NAMES = 256
"""Fields of a query, and different names among them. Policy looks at each name."""

# What some servers read as an escape and others as it stands: `%u002f`, `%zz`, `%` at the end.
_NO_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
# Neither a user (`name@host`) nor a port that is no number: what stands before or behind them is read differently.
_HOST = re.compile(r"(?:\[[^\]@]*\]|[^@:\[\]]*)(?::[0-9]{1,5})?")


class MalformedRequest(ValueError):
    """The head can't be read as a request we may vouch for. The message quotes no payload."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's head as policy reads it. `path` has no query; `target_path` is path and query as forwarded.
    `content_type` is the lower-case essence, `content_type_value` the header as it is (with its charset)."""

    method: str
    host: str
    path: str
    target_path: str
    query: dict[str, list[str]]
    headers: tuple[tuple[str, str], ...]
    content_type: str
    content_type_value: str
    content_encoding: str
    content_length: int | None

    def get(self, name: str) -> str | None:
        """The first value of a header (lower-case name), or None."""
        return next((v for n, v in self.headers if n == name), None)

    def visible_headers(self) -> dict[str, JSON]:
        """Header values by name, without those that carry secrets."""
        shown: dict[str, list[JSON]] = {}
        for name, value in self.headers:
            if name[0] != ":" and name not in headers.SECRET:
                shown.setdefault(name, []).append(value)
        return dict(shown)

    def binding_headers(self) -> list[tuple[str, str]]:
        """The headers an approval binds to, sorted by name, order within a name kept."""
        bound = [(n, v) for n, v in self.headers if headers.binds(n, v)]
        bound += [("prefer", v) for v in prefer.for_upstream([v for n, v in self.headers if n == "prefer"])]
        return sorted(bound, key=lambda pair: pair[0])

    def dropped_headers(self) -> list[str]:
        """The names of headers that don't go on."""
        return sorted({n for n, v in self.headers if not headers.goes_on(n, v)})


def read_head(head: Head, prefix: str) -> RequestHead:
    """Read a request's head. `prefix` is the path prefix that the route takes off before forwarding ("" or
    "/name"). Raises MalformedRequest."""
    pseudo: dict[str, str] = {}
    content_type = content_encoding = ""
    content_length: int | None = None
    for name, value in head.headers:
        if name[:1] == ":":
            pseudo[name] = value
        elif name == "content-type":
            if content_type:
                raise MalformedRequest("more than one content-type")
            if "," in value or len(value) > _LONGEST_TYPE:
                raise MalformedRequest("content-type is not one media type")
            content_type = value
        elif name == "content-encoding":
            content_encoding = f"{content_encoding},{value}".strip(", ").lower()
        elif name == "content-length":
            if content_length is not None or not (value.isascii() and value.isdigit()):
                raise MalformedRequest("content-length is not one whole number")
            content_length = int(value)
    try:
        method, host, full = pseudo[":method"], pseudo[":authority"], pseudo[":path"]
    except KeyError as missing:
        raise MalformedRequest(f"no {missing.args[0]}") from None
    if not _HOST.fullmatch(host):
        raise MalformedRequest("the host is not a name or an address, and a port that is a number")
    if _NO_ESCAPE.search(full):
        raise MalformedRequest("the path or the query has a % that no two hexadecimal digits follow; write it as %25")
    path, mark, query = forwarded(full, prefix).partition("?")
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        # Servers that take overlong or broken sequences read another path than policy would be shown.
        raise MalformedRequest("the path has escapes that are not UTF-8") from None
    return RequestHead(
        method,
        host,
        path,
        path + mark + query,
        _query(query),
        head.headers,
        content_type.split(";", 1)[0].strip().lower(),
        content_type,
        content_encoding,
        content_length,
    )


def forwarded(full: str, prefix: str) -> str:
    """The path (with query) as the upstream will get it. Raises MalformedRequest if the prefix is not there, for
    then the route and we would not mean the same resource."""
    if not prefix:
        return full
    if not full.startswith(prefix):
        raise MalformedRequest("the path has not the prefix of its route")
    rest = full[len(prefix) :]
    if rest[:1] == "/":
        return rest
    if rest[:1] in ("", "?"):
        return "/" + rest
    raise MalformedRequest("the path has not the prefix of its route")


def segments(path: str) -> list[JSON]:
    """Decoded path segments, empty ones left out."""
    return [unquote(part) for part in path.split("/") if part]


def _query(query: str) -> dict[str, list[str]]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise MalformedRequest(f"the query is not UTF-8 or has more than {_MOST_FIELDS} fields") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    if len(values) > _MOST_NAMES:
        raise MalformedRequest(
            f"the query has {len(values)} different names, and may have {_MOST_NAMES}; send them in a body"
        )
    return values
