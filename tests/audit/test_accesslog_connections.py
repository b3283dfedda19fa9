"""What the access log says of connections that went to a worker whole."""

import orjson
import pytest

from extproc.audit.codes import judge

WORKER = "../run/workers/postgres-1.sock"
LINE = {
    "via": "postgres",
    "request_id": "06867768-f46a-44a8-a853-e8548f40a681",
    "source": "192.0.2.7:50000",
    "decision": None,
    "method": None,
    "details": "handed-over:-:-:-",
    "response_flags": "-",
    "upstream_host": WORKER,
    "bytes_in": 7,
}
CASES = [
    ({}, None),
    ({"response_flags": "DC"}, None),
    ({"response_flags": "UC"}, None),
    ({"upstream_host": "/run/postgres-0.sock"}, None),
    ({"response_flags": "UF,URX"}, ("refusal", "processor-error")),
    ({"response_flags": "UH", "upstream_host": None}, ("refusal", "processor-error")),
    ({"response_flags": "DC", "upstream_host": None}, ("refusal", "client-left")),
    ({"upstream_host": None}, ("refusal", "other")),
    ({"upstream_host": "10.0.0.7:5432"}, ("alarm", "undecided-upstream")),
    ({"upstream_host": "10.0.0.7:5432", "response_flags": "UF"}, ("alarm", "undecided-upstream")),
    ({"upstream_host": "/run/postgres-0.sock.d/x"}, ("alarm", "undecided-upstream")),
    ({"via": "direct"}, ("alarm", "undecided-upstream")),
]


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=range(len(CASES)))
def test_connections(changes: dict[str, object], expected: tuple[str, str] | None) -> None:
    """A worker that was reached tells of it itself; anything else reached is an alarm, and nothing a refusal."""
    found = judge(orjson.dumps(LINE | changes))
    assert (None if found is None else (found.kind, found.body["code"])) == expected
    if found is not None:
        assert found.body["request"] == LINE["request_id"]
