"""The demo's PostgreSQL: where it is found, and what its log says that it was asked."""

from pathlib import Path

import pytest

from examples.demo import database
from examples.demo.database import installed, psql_folder, statements

LOG = """2026-01-01 00:00:00.000 UTC [7] LOG:  database system is ready to accept connections
2026-01-01 00:00:01.000 UTC [8] admin: LOG:  statement: DELETE FROM customers
2026-01-01 00:00:02.000 UTC [9] crm_app: LOG:  statement: SELECT name
\t  FROM customers
\tWHERE id = 1
2026-01-01 00:00:03.000 UTC [9] crm_app: ERROR:  syntax error at or near "holdpoint" at character 1
2026-01-01 00:00:03.000 UTC [9] crm_app: STATEMENT:  holdpoint refused this
\tdecision 1
2026-01-01 00:00:04.000 UTC [9] crm_app: LOG:  execute s1: UPDATE refunds SET state = $1
2026-01-01 00:00:04.000 UTC [9] crm_app: DETAIL:  parameters: $1 = 'x'
"""


def test_the_log_tells_what_the_gateway_had_it_run() -> None:
    """Texts on one line each; nobody else's, no errors and no refusals."""
    assert statements(LOG) == ["SELECT name FROM customers WHERE id = 1", "UPDATE refunds SET state = $1"]


def test_an_empty_log_has_nothing() -> None:
    """The server has not started yet."""
    assert statements("") == []


def program(path: Path) -> None:
    """A file that may be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)


def test_the_newest_server_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number: 9 is older than 16."""
    for version in ("9.6", "15", "16"):
        program(tmp_path / version / "bin" / "initdb")
    (tmp_path / "17" / "bin").mkdir(parents=True)
    monkeypatch.setattr(database, "PLACES", (f"{tmp_path}/*/bin".lstrip("/"),))
    assert installed() == tmp_path / "16" / "bin"


def test_no_server_is_found_where_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where packages put it nor on the PATH."""
    monkeypatch.setattr(database, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed() is None
    program(tmp_path / "initdb")
    assert installed() == tmp_path


def test_psql_is_where_commands_are_when_it_is_not_beside_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None where there is none: the demo then says so."""
    monkeypatch.setattr("os.defpath", str(tmp_path / "commands"))
    assert psql_folder(tmp_path) is None
    program(tmp_path / "commands" / "psql")
    assert psql_folder(tmp_path) == tmp_path / "commands"


def test_the_server_is_no_other_user_unless_root_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not root runs it himself."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert database.server_owner() is None
