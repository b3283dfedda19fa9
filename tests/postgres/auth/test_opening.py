"""What a StartupMessage may ask for."""

import pytest

from extproc.protocols.postgres.auth.opening import Opening, OpeningRefused, read_opening, read_options
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, StartupMessage


def opening(*parameters: tuple[str, str]) -> Opening:
    return read_opening(StartupMessage(PROTOCOL_3_0, (("user", "alice"), *parameters)))


def test_who_and_where() -> None:
    """Without a database it is that of the user's name; settings keep their order and spelling."""
    assert opening() == Opening("alice", "alice")
    assert opening(("database", "")) == Opening("alice", "alice")
    assert opening(("database", "crm-db/x"), ("DateStyle", "ISO"), ("application_name", "psql é")) == Opening(
        "alice", "crm-db/x", "psql é", (("DateStyle", "ISO"), ("application_name", "psql é"))
    )


OPTIONS: tuple[tuple[str, list[tuple[str, str]]], ...] = (
    ("", []),
    ("  \t", []),
    ("-c search_path=a,b", [("search_path", "a,b")]),
    ("-csearch_path=a", [("search_path", "a")]),
    ("--search_path=a", [("search_path", "a")]),
    ("--search-path=a", [("search_path", "a")]),
    ("-c  a=1\n-cb=2", [("a", "1"), ("b", "2")]),
    ("-c a=x=y", [("a", "x=y")]),
    ("-c a=", [("a", "")]),
    ("-c a=b\\ c\\\\d", [("a", "b c\\d")]),
    ("-c a=b\\", [("a", "b")]),
    # A no-break space is not one to C.
    ("-c a=b\u00a0c", [("a", "b\u00a0c")]),
    ("-c a=1 -c A=2", [("a", "1"), ("A", "2")]),
)


@pytest.mark.parametrize(("options", "settings"), OPTIONS)
def test_options_are_read_as_the_server_reads_them(options: str, settings: list[tuple[str, str]]) -> None:
    """Words, backslashes and hyphens."""
    assert read_options(options) == settings


@pytest.mark.parametrize(
    "options",
    ["x", "-", "--", "-c", "-c a", "-ca", "--a", "-d 5", "-O", "-fs", "-W 5", "-c a=1 -e", "-c a=b c=d", "\\"],
)
def test_other_switches_are_refused(options: str) -> None:
    """They are not settings, or not only."""
    with pytest.raises(OpeningRefused) as refused:
        opening(("options", options))
    assert (refused.value.code, refused.value.sqlstate) == ("options", "0A000")


def test_later_words_win() -> None:
    """The message over its options, and in options the last; as the server does it, in any case."""
    read = opening(("options", "-c TimeZone=UTC -c a.b=1 -c timezone=CET"), ("TIMEZONE", "EST"), ("x.y", "z"))
    assert read.settings == (("a.b", "1"), ("TIMEZONE", "EST"), ("x.y", "z"))


@pytest.mark.parametrize(
    "encoding", ["UTF8", "utf-8", "'utf-8'", "Unicode", "SQL_ASCII", "sqlascii"], ids=lambda value: str(value)
)
def test_encodings_that_are_utf_8_are_not_news(encoding: str) -> None:
    """As the server reads names of encodings; what the gateway sets is not set twice."""
    assert opening(("client_encoding", encoding)).settings == ()
    assert opening(("options", f"-c Client-Encoding={encoding}")).settings == ()


def test_strings_that_conform_are_not_news() -> None:
    """What the gateway sets is not set twice."""
    assert opening(("standard_conforming_strings", "ON")).settings == ()


REFUSED = (
    (("client_encoding", "LATIN1"), "encoding", "22023"),
    (("client_encoding", ""), "encoding", "22023"),
    (("client_encoding", "utf16"), "encoding", "22023"),
    (("CLIENT_ENCODING", "win1252"), "encoding", "22023"),
    (("standard_conforming_strings", "off"), "setting-refused", "0A000"),
    (("standard_conforming_strings", ""), "setting-refused", "0A000"),
    (("role", "postgres"), "setting-refused", "0A000"),
    (("Role", "none"), "setting-refused", "0A000"),
    (("session_authorization", "postgres"), "setting-refused", "0A000"),
    (("local_preload_libraries", "x"), "setting-refused", "0A000"),
    (("session_preload_libraries", "x"), "setting-refused", "0A000"),
    (("replication", "database"), "replication", "0A000"),
    (("replication", "false"), "replication", "0A000"),
    (("Replication", "true"), "setting-name", "08P01"),
    (("Database", "x"), "setting-name", "08P01"),
    (("OPTIONS", "-c a=b"), "setting-name", "08P01"),
    (("_PQ_.x", "1"), "setting-name", "08P01"),
    (("a b", "1"), "setting-name", "08P01"),
    (("a=b", "1"), "setting-name", "08P01"),
    (("client-encoding", "x"), "setting-name", "08P01"),
    (("a..b", "1"), "setting-name", "08P01"),
    (("c\u0131ient_encoding", "1"), "setting-name", "08P01"),
    (("a.b", "x" * 8000), "settings-too-long", "08P01"),
)


@pytest.mark.parametrize(("parameter", "code", "sqlstate"), REFUSED)
def test_what_may_not_be_asked_for(parameter: tuple[str, str], code: str, sqlstate: str) -> None:
    """Whatever would change what statements mean, whose they are, or what the server runs."""
    with pytest.raises(OpeningRefused) as refused:
        opening(parameter)
    assert (refused.value.code, refused.value.sqlstate) == (code, sqlstate)


@pytest.mark.parametrize(
    "setting",
    [
        *("client-encoding=latin1", "client_encoding=latin1", "standard-conforming-strings=off", "role=x"),
        *("session-authorization=x", "ROLE=x", "user=postgres", "database=x", "replication=true", "options=x"),
        *("_pq_.x=1", "=x", "1=x"),
    ],
)
@pytest.mark.parametrize("switch", ["-c ", "-c", "--"])
def test_nor_in_options(switch: str, setting: str) -> None:
    """The other way to the same settings, and to parameters that are none."""
    with pytest.raises(OpeningRefused):
        opening(("options", switch + setting))


def test_somebody_has_to_be_named() -> None:
    """As the server says it."""
    for parameters in ((), (("user", ""),)):
        with pytest.raises(OpeningRefused, match="no PostgreSQL user name") as refused:
            read_opening(StartupMessage(PROTOCOL_3_0, parameters))
        assert refused.value.sqlstate == "28000"
