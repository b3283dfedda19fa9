"""Heads are recorded as they went on, and only what can't be a secret."""

from extproc.audit.bodies.heads import RECORDED, as_sent, document
from extproc.protocols.http.headers import NOT_FOR_AGENTS, SECRET


def test_no_secret_is_on_the_list() -> None:
    """Whatever else is."""
    assert set() == RECORDED & (SECRET | NOT_FOR_AGENTS)


def test_a_head_as_it_goes_on() -> None:
    """Changed values in place of the old ones, removed headers left out, unknown ones too; long values cut."""
    headers = [
        *((":path", "/?token=x"), ("authorization", "Bearer x"), ("x-api-key", "x"), ("accept", "a"), ("accept", "b")),
        *(("user-agent", "u" * 300), ("content-length", "9"), ("server", "s")),
    ]
    sent = as_sent(headers, [("content-length", "12"), ("x-own", "x")], {"server"})
    assert document(sent) == [["accept", "a"], ["accept", "b"], ["user-agent", "u" * 256], ["content-length", "12"]]
