"""The real servers that PostgreSQL's tests run beside."""

import subprocess
from pathlib import Path

import pytest

from tests.support.postgres import ADMIN, BY_CERTIFICATE, BY_MD5, IN_CLEAR, READER, WRITER, Role, Server
from tests.support.postgres_binaries import program

WHO = "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def psql(dsn: str, statement: str) -> tuple[int, str]:
    """What psql says to one statement."""
    done = subprocess.run([program("psql"), "-XAtq", dsn, "-c", statement], capture_output=True, text=True)
    return done.returncode, (done.stdout or done.stderr).strip()


@pytest.mark.parametrize("role", [READER, WRITER, BY_MD5, IN_CLEAR], ids=lambda role: str(role.name))
@pytest.mark.parametrize("sslmode", ["disable", "verify-full"])
def test_each_role_logs_in_its_way(postgres: Server, role: Role, sslmode: str) -> None:
    """Password roles come in with and without TLS, and not with another password."""
    dsn = postgres.dsn(role.name, "crm", sslmode=sslmode)
    assert psql(dsn, WHO) == (0, f"{role.name}|{'f' if sslmode == 'disable' else 't'}")
    status, said = psql(dsn.replace(role.password, "guessed"), WHO)
    assert (status, "password authentication failed" in said) == (2, True)


def test_a_certificate_logs_in(postgres: Server) -> None:
    """Who has a certificate of the role's name comes in; without one nobody does."""
    assert postgres.authority is not None
    mine = postgres.client_certificate(BY_CERTIFICATE.name)
    dsn = postgres.dsn(BY_CERTIFICATE.name, "crm", sslmode="verify-full", sslcert=str(mine), sslkey=str(mine))
    assert psql(dsn, WHO) == (0, "by_certificate|t")
    other = postgres.client_certificate("somebody")
    dsn = postgres.dsn(BY_CERTIFICATE.name, "crm", sslmode="verify-full", sslcert=str(other), sslkey=str(other))
    assert psql(dsn, WHO)[0] == 2


def test_passwords_are_kept_as_the_method_needs(postgres: Server) -> None:
    """md5 and SCRAM are what the server has, so that both ways to log in are really gone."""
    found = postgres.sql("SELECT rolname, left(rolpassword, 3) FROM pg_authid WHERE rolpassword IS NOT NULL ORDER BY 1")
    kept = {row[0]: row[1] for row in found}
    assert kept == {ADMIN: "SCR", "by_md5": "md5", "in_clear": "SCR", "reader": "SCR", "writer": "SCR"}


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    """Kill, start: recovered; stop, start: still there; its folder is gone at the end."""
    with Server(databases={"one": "CREATE TABLE t (i int)"}) as server:
        server.sql("INSERT INTO t VALUES (7)", "one")
        first = server.pid
        server.kill()
        server.start()
        assert "automatic recovery in progress" in server.log
        server.stop()
        server.start()
        assert (server.sql("SELECT i FROM t", "one"), server.pid != first) == ([["7"]], True)
        folder: Path = server.folder
    assert not folder.exists()


def test_the_newer_major(postgres_newer: Server) -> None:
    """It is as new as we want it, whatever the system's packages have; it has TLS, md5 and the same tables."""
    assert postgres_newer.major >= 18
    dsn = postgres_newer.dsn(BY_MD5.name, "crm", sslmode="verify-full")
    assert psql(dsn, "SELECT count(*) FROM customers") == (0, "3")
