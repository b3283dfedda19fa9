"""A head that Envoy would not have let in as it is, seen from behind it."""

import pytest

from extproc.protocols.http.edge import LONGEST_PATH, MOST_SEGMENTS, normalised, unfit
from extproc.protocols.session import Head

NORMAL = (
    "/",
    "/a/b",
    "/a/",
    "/a/...",
    "/.well-known/x",
    "/a.b/..c",
    "/a%20b",
    "/%c3%a9",
    "/a%40b;v=1",
    "/a?x=//../%2f#",
)
OTHERWISE = (
    *("", "*", "a", "//a", "/a//b", "/a/..", "/a/./b", "/../a", "/a\\b", "/a#b", "/a/..;x/b", "/a/..%3b/b"),
    *("/a%2fb", "/a%2Fb", "/a%5cb", "/%2e%2e/a", "/%61", "/a%5fb", "/a%7Eb", "/a%31", "/a%252fb", "/a%00", "/a%0ab"),
)


@pytest.mark.parametrize(("path", "normal"), [*((p, True) for p in NORMAL), *((p, False) for p in OTHERWISE)])
def test_a_path_is_as_envoy_normalises_it(path: str, normal: bool) -> None:
    """Or it is not one that every upstream reads alike."""
    assert normalised(path) is normal


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((n, None) for n in ("x-request-id", "x-forwarded-proto", "x-envoy-external-address", "authorization")),
        *((n, "header-refused") for n in ("x-holdpoint-ticket", "x-envoy-max-retries", "x-envoy-internal")),
        *((n, "header-refused") for n in ("x-forwarded-for", "x-forwarded-host", "x-http-method")),
        *((n, "header-refused") for n in ("forwarded", "x-real-ip", "x-method-override", "x-original-url", "a_b")),
        *((n, "upgrade-refused") for n in ("upgrade", ":protocol")),
    ],
)  # fmt: skip
def test_what_a_client_may_not_say_is_refused(name: str, code: str | None) -> None:
    """By the name alone."""
    found = unfit(Head(((":method", "GET"), (":path", "/x"), (name, "1"))))
    assert (found.code if found else None) == code


def test_each_way_has_its_own() -> None:
    """A ticket inside a tunnel, CONNECT and no path where a tunnel is opened."""
    assert unfit(Head(((":path", "/x"), ("x-holdpoint-ticket", "t"))), tunnel=True) is None
    connect = Head(((":method", "CONNECT"), (":authority", "a:443")))
    assert unfit(connect, connect=True) is None
    assert unfit(connect) is not None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/a" * MOST_SEGMENTS, None),
        ("/a" * (MOST_SEGMENTS + 1), 414),
        ("/a" * 14_000, 414),
        ("/x?" + "/" * 1000, None),
        ("/" + "a" * (LONGEST_PATH - 1), None),
        ("/" + "a" * LONGEST_PATH, 414),
        ("/x?" + "a" * LONGEST_PATH, 414),
    ],
)
def test_a_path_has_so_many_bytes_and_segments_at_most(path: str, status: int | None) -> None:
    """More is refused, whole, and told how much would be right; a query has no segments."""
    found = unfit(Head(((":method", "GET"), (":path", path))))
    assert (found.status if found else None) == status
    if found is not None:
        assert found.code == "path-too-long"
        assert str(MOST_SEGMENTS) in found.detail or str(LONGEST_PATH) in found.detail
