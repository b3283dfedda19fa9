"""SQL clients that do tests/support/sql_work.py's work: `run("psycopg", dsn, CASES)`.

All but psql run as their users have them: the Python ones in the environment that `make postgres` makes from
deploy/locks/postgres.txt, the JDBC driver as deploy/tools/fetch pgjdbc gets it. One process does all the cases of a
client; each case has a connection of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.support import sql_psql
from tests.support.postgres_binaries import clean_environment
from tests.support.sql_work import Case, Result, Step

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "sql_programs"
PYTHON_VARIABLE, DRIVER_VARIABLE = "HOLDPOINT_SQL_CLIENTS", "HOLDPOINT_PGJDBC"
SECONDS = 120.0

Steps = Mapping[str, list[Step]]


def run(client: str, dsn: str, cases: Mapping[str, Case]) -> dict[str, list[Result]]:
    """What comes of those cases that the client can do. `dsn` is a URL, as Server.dsn gives it.

    A case that went wrong in the client has {"broken": reason} as its last result. Raises AssertionError when the
    client ends without any, FileNotFoundError with what to do when it isn't there.
    """
    return CLIENTS[client](dsn, {name: case.steps for name, case in cases.items() if client in case.clients})


def python_of_clients() -> Path:
    """The interpreter that has the clients: $HOLDPOINT_SQL_CLIENTS, or the checkout's .venv-postgres."""
    found = Path(os.environ.get(PYTHON_VARIABLE) or ROOT / ".venv-postgres" / "bin" / "python")
    if not found.exists():
        raise FileNotFoundError(f"no {found}; run `make postgres`, or name an interpreter with ${PYTHON_VARIABLE}")
    return found


def jdbc_driver() -> Path:
    """The driver's jar: $HOLDPOINT_PGJDBC, what stands beside this interpreter, or the cache's."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("HOLDPOINT_CACHE") or Path(home) / "holdpoint")
    named = os.environ.get(DRIVER_VARIABLE)
    places = [Path(named)] if named else [Path(sys.executable).parent / "pgjdbc.jar", *cache.glob("pgjdbc/*/*.jar")]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise FileNotFoundError(f"no JDBC driver in {cache}; run `make postgres`, or name one with ${DRIVER_VARIABLE}")
    return found


def jdbc_url(dsn: str) -> str:
    """A libpq URL as the JDBC driver takes it; the options that both have are called the same."""
    url = urlsplit(dsn)
    words = {"user": unquote(url.username or ""), "password": unquote(url.password or "")} | dict(parse_qsl(url.query))
    return f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?{urlencode(words)}"


def _python(name: str, *arguments: str, dsn: str, cases: Steps) -> dict[str, list[Result]]:
    module = f"tests.support.sql_programs.{name}"
    return _program([str(python_of_clients()), "-m", module, *arguments], {"dsn": dsn, "cases": cases})


def _jdbc(dsn: str, cases: Steps) -> dict[str, list[Result]]:
    command = ["java", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC", "-cp", str(jdbc_driver())]
    return _program([*command, str(PROGRAMS / "JdbcClient.java")], {"url": jdbc_url(dsn), "cases": cases})


def script(code: str, *arguments: str) -> Any:
    """The JSON that a program in Python prints, which has the Python clients and `dsn` and the like as arguments."""
    return _output([str(python_of_clients()), "-c", code, *arguments], None)


def _program(command: list[str], job: object) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = _output(command, job)
    return found


def _output(command: list[str], job: object) -> Any:
    done = subprocess.run(
        command,
        input=json.dumps(job).encode(),
        capture_output=True,
        timeout=SECONDS,
        cwd=ROOT,
        env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
    return json.loads(done.stdout)


CLIENTS: dict[str, Callable[[str, Steps], dict[str, list[Result]]]] = {
    "asyncpg": lambda dsn, cases: _python("asyncpg_client", dsn=dsn, cases=cases),
    "jdbc": _jdbc,
    "psql": sql_psql.run,
    "psycopg": lambda dsn, cases: _python("psycopg_client", dsn=dsn, cases=cases),
    "sqlalchemy-asyncpg": lambda dsn, cases: _python("sqlalchemy_client", "asyncpg", dsn=dsn, cases=cases),
    "sqlalchemy-psycopg": lambda dsn, cases: _python("sqlalchemy_client", "psycopg", dsn=dsn, cases=cases),
}
