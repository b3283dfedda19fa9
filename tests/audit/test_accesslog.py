"""Envoy's access log: what no decision covers is recorded, exactly once, whatever happens to the file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.accesslog import AccessLog
from extproc.audit.codes import Code, code_of, judge
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.audit.store import Store
from extproc.domain.ports import JournalUnwritable


def line(request: str, **members: Any) -> bytes:
    """A line as Envoy writes it: a request that can't be read, unless members say otherwise. Each request has a peer of
    its own, unless they do."""
    entry = {
        "time": "2026-01-31T12:00:00.000Z", "request_id": request, "method": "GET", "authority": "crm.example",
        "status": 400, "response_flags": "DPE",
        "details": "http1.codec_error", "decision": None, "target": "crm", "bytes_in": 0,
        "bytes_out": 14, "duration_ms": 0, "upstream_host": None, "source": f"peer-{request}:4000", **members,
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


class Follow:
    """A follower that can be ended and started again."""

    def __init__(self, state: Path) -> None:
        self.log = state / "envoy" / "access.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.gateway = state / "journal" / "gateway"
        self.state, self.alarms = state, []  # type: Path, list[Any]
        self.now = 0.0
        self.start()

    def start(self) -> None:
        """A new process with what the last one left."""
        self.journal = FileJournal(self.gateway, "gateway", sync_seconds=0)
        self.store = Store(self.state / "shipper.db")
        self.follower = AccessLog(
            self.log, self.store, self.journal, self.gateway, self.alarms.append, lambda: self.now
        )

    def stop(self) -> None:
        """The process ends."""
        self.follower.close()
        self.store.close()
        self.journal.close()

    def add(self, *lines: bytes) -> None:
        """Envoy writes."""
        with self.log.open("ab") as file:
            file.write(b"".join(lines))

    def seen(self) -> list[Any]:
        """Request ids (or codes, where there is none) of what was recorded, in order."""
        while self.follower.step(3):
            pass
        return self.recorded()

    def recorded(self) -> list[Any]:
        """The same, of what is recorded by now."""
        rows = [r for r in records(self.gateway) if r.kind in ("refusal", "alarm")]
        return [row.body.get("request") or row.body["code"] for row in rows]


@pytest.fixture
def follow(tmp_path: Path) -> Any:
    """A follower of a log that is not there yet."""
    following = Follow(tmp_path)
    yield following
    following.stop()


@pytest.mark.parametrize(
    ("details", "flags", "code"),
    [
        ("connection:-:-", "NR", Code.TUNNEL_MISMATCH),
        (
            "connection:-:TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
            "-",
            Code.CLIENT_CERTIFICATE,
        ),
        ("connection:-:TLS_error:|268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST", "-", Code.TLS_FAILED),
        ("connection:something:-", "DC", Code.CONNECTION_REFUSED),
        ("rbac_access_denied_matched_policy[none]", "-", Code.NO_DECISION),
        ("ext_proc_error_per-message_timeout_exceeded", "-", Code.PROCESSOR_TIMEOUT),
        ("ext_proc_error_gRPC_error_14{upstream_connect_error}", "-", Code.PROCESSOR_ERROR),
        ("http1.codec_error", "DPE", Code.CODEC_ERROR),
        ("codec_error:The_user_callback_function_failed", "DPE", Code.CODEC_ERROR),
        ("http1.headers_too_large", "DPE", Code.HEADERS_TOO_LARGE),
        ("missing_host_header", "-", Code.MALFORMED_REQUEST),
        ("path_normalization_failed", "-", Code.MALFORMED_REQUEST),
        ("http1.unexpected_underscore", "-", Code.MALFORMED_REQUEST),
        ("route_not_found", "NR", Code.ROUTE_NOT_FOUND),
        ("direct_response", "-", Code.ROUTE_NOT_FOUND),
        ("request_payload_too_large", "-", Code.BODY_TOO_LARGE),
        ("request_payload_exceeded_retry_buffer_limit", "-", Code.OTHER),
        ("no_healthy_upstream", "UH", Code.UPSTREAM_UNAVAILABLE),
        ("upstream_reset_before_response_started{connection_termination}", "UC", Code.UPSTREAM_RESET),
        ("upstream_response_timeout", "UT", Code.UPSTREAM_TIMEOUT),
        ("stream_idle_timeout", "SI", Code.TIMEOUT),
        ("request_overall_timeout", "-", Code.TIMEOUT),
        ("downstream_remote_disconnect", "DC", Code.CLIENT_LEFT),
        ("overload", "OM", Code.OVERLOAD),
        ("something_new", "UT", Code.UPSTREAM_TIMEOUT),
        ("something_new", "XX,UH", Code.UPSTREAM_UNAVAILABLE),
        ("", "-", Code.OTHER),
    ],
)
def test_every_refusal_has_a_stable_code(details: str, flags: str, code: Code) -> None:
    """The words of Envoy's details, then its flags."""
    assert code_of(details, flags) is code


@pytest.mark.parametrize(
    "members",
    [{"decision": "d1"}, {"decision": "d1", "upstream_host": "127.0.0.1:9"}, {"details": "holdpoint:d1:blocked"}],
)
def test_what_a_decision_covers_is_not_recorded_again(members: dict[str, str]) -> None:
    """Its own records say it already."""
    assert judge(line("r", **members)) is None


def test_a_tunnels_bytes_are_envoys_to_tell() -> None:
    """They went through unread, under a decision that its record names."""
    found = judge(line("r1", decision="d1", method="CONNECT", session="s1", bytes_in=7, bytes_out=9, status=200))
    assert found is not None
    said = {name: found.body[name] for name in ("decision", "session", "bytes_in", "bytes_out", "request")}
    assert (found.kind, said) == (
        "tunnel",
        {"decision": "d1", "session": "s1", "bytes_in": 7, "bytes_out": 9, "request": "r1"},
    )
    assert judge(line("r1", details="holdpoint:d1:blocked", method="CONNECT")) is None


@pytest.mark.parametrize("details", ["holdpoint", "holdpoint:", "holdpoint::x", "xholdpoint:d1:x", "holdpoint:d1"])
def test_details_that_name_no_decision_cover_nothing(details: str) -> None:
    """Only our whole form counts."""
    assert judge(line("r", details=details)) is not None


def test_a_refusal_keeps_what_envoy_said() -> None:
    """Fields, code, target and the principal that was verified, if any."""
    found = judge(line("r1", iss="https://id", sub="agent-7"))
    assert found is not None
    assert found.kind == "refusal"
    wanted = {"code": "codec-error", "request": "r1", "status": 400, "target": {"name": "crm"}}
    assert wanted | {"principal": {"issuer": "https://id", "subject": "agent-7"}} == {
        name: found.body[name] for name in (*wanted, "principal")
    }


@pytest.mark.parametrize("data", [b"\n", b"{\n", b"[1]\n", b"\xff\xfe\n", b'"text"\n', b"x" * 99 + b"\n"])
def test_a_line_that_can_not_be_read_is_recorded_as_such(data: bytes) -> None:
    """Its content is not: nothing is known of it."""
    found = judge(data)
    assert found is not None
    assert (found.body["code"], found.body["size"]) == ("access-log-malformed", len(data))


def test_upstream_bytes_without_a_decision_are_an_alarm(follow: Follow) -> None:
    """It is recorded, and whoever closes the route is told."""
    follow.add(line("r1", upstream_host="127.0.0.1:9001", status=200, details="via_upstream"))
    assert follow.seen() == ["r1"]
    assert [alarm["code"] for alarm in follow.alarms] == ["undecided-upstream"]


def test_lines_are_taken_when_they_are_whole(follow: Follow) -> None:
    """However the file grows, every line is taken once."""
    assert follow.seen() == []
    data = line("r1") + line("r2", decision="d2") + line("r3") + b"not json\n" + line("r4")
    for at in range(0, len(data), 37):
        follow.add(data[at : at + 37])
        follow.seen()
    assert follow.seen() == ["r1", "r3", "access-log-malformed", "r4"]


def test_a_line_without_end_in_sight_takes_no_memory(follow: Follow) -> None:
    """It is one malformed line when it ends."""
    follow.add(line("r1"), b"x" * 300_000)
    assert follow.seen() == ["r1"]
    follow.add(b"x\n", line("r2"))
    assert follow.seen() == ["r1", "access-log-malformed", "r2"]


def test_rotation_by_rename_loses_nothing(follow: Follow) -> None:
    """What is written to the renamed file before the new one appears is taken, then the new one."""
    follow.add(line("r1"))
    follow.seen()
    old = follow.log.with_suffix(".log.1")
    follow.log.rename(old)
    with old.open("ab") as file:
        file.write(line("r2") + b"torn")
    assert follow.seen() == ["r1", "r2"]
    follow.add(line("r3"))
    assert follow.seen() == ["r1", "r2", "access-log-malformed", "r3"]


def test_rotations_while_nobody_followed_are_caught_up(follow: Follow) -> None:
    """The file that was being read is found by what it is, then those after it in order."""
    follow.add(line("r1"))
    follow.seen()
    follow.add(line("r2"))
    follow.stop()
    for n, name in enumerate(("access.log.1", "access.log.2")):
        rotated = follow.log.with_name(name)
        follow.log.rename(rotated)
        os.utime(rotated, ns=(n, 1_700_000_000_000_000_000 + n))
        follow.add(line(f"r{n + 3}"))
    follow.start()
    assert follow.seen() == ["r1", "r2", "r3", "r4"]


def test_a_log_that_is_gone_is_an_alarm(follow: Follow) -> None:
    """Refusals may be lost with it, which nobody may hide; it is told once."""
    follow.add(line("r1"))
    follow.seen()
    follow.stop()
    follow.log.unlink()
    follow.add(line("r2"))
    for _ in range(2):
        follow.start()
        assert follow.seen() == ["r1", "access-log-gap", "r2"]
        follow.stop()
    follow.start()


def test_a_log_cut_under_its_writer_is_an_alarm(follow: Follow) -> None:
    """What it says from then on is taken."""
    follow.add(line("r1"), line("r2"))
    follow.seen()
    follow.log.write_bytes(b"")
    follow.add(line("r3"))
    assert follow.seen() == ["r1", "r2", "access-log-gap", "r3"]


def test_a_crash_between_record_and_position_doubles_nothing(follow: Follow) -> None:
    """The records themselves say which lines they are of."""
    follow.add(line("r1"))
    follow.seen()
    follow.add(line("r2"), line("r3"))
    follow.follower._store = None  # type: ignore[assignment]  # the position can't be noted: as after a crash
    with pytest.raises(AttributeError):
        follow.follower.step()
    follow.stop()
    follow.start()
    follow.add(line("r4"))
    assert follow.seen() == ["r1", "r2", "r3", "r4"]
    follow.add(line("r5"))
    follow.seen()
    noted = follow.store.log_position()
    assert noted is not None
    assert noted.journal == follow.journal.offset


STRANGER = {"source": "192.0.2.1:4000"}


def counts(follow: Follow) -> list[tuple[str, str, int]]:
    """Code, peer and number of lines of every refusal."""
    rows = [r.body for r in records(follow.gateway) if r.kind == "refusal"]
    return [(b["code"], b.get("source", ""), b.get("more", 1)) for b in rows]


def test_a_crowd_of_strangers_is_counted(follow: Follow) -> None:
    """The first at once and a number within a second. Whoever is known, alarms and tunnels have a record each."""
    crowd = [line(f"r{n}", source=f"192.0.2.1:{n}") for n in range(1, 1000)]
    known = line("k", **STRANGER, iss="https://id", sub="agent-7")
    alarm = line("a", **STRANGER, upstream_host="127.0.0.1:9")
    tunnel = line("t", **STRANGER, decision="d1", method="CONNECT", session="s1", status=200)
    follow.add(*crowd[:500], known, alarm, tunnel, *crowd[500:], known, alarm, tunnel)
    follow.add(line("x", **STRANGER, details="route_not_found"), line("y", **STRANGER, target="other"))
    follow.add(line("m"), line("n", source="[2001:db8::1]:1"), line("o", source="[2001:db8::ffff:1]:2"))
    assert follow.seen() == ["r1", "k", "a", "k", "a", "x", "y", "m", "n"]
    follow.now = 1.0
    follow.follower.step()
    more = [r.body for r in records(follow.gateway) if "more" in r.body]
    assert [(b["source"], b["more"]) for b in more] == [("192.0.2.1:2", 998), ("[2001:db8::ffff:1]:2", 1)]
    assert sum(r.kind == "tunnel" for r in records(follow.gateway)) == 2
    follow.add(line("z", **STRANGER))
    assert follow.seen()[-1] == "z"


@pytest.mark.parametrize("written", [1, 1000, 1025])
def test_peers_beyond_counting_are_one_kind(follow: Follow, written: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal stays small whatever addresses come, and the next process knows what was counted so."""
    follow.add(*(line(f"r{n % 1100}") for n in range(2200)))
    follow.follower._store = None  # type: ignore[assignment]  # the position can't be noted: as after a crash
    follow.follower.step(10_000)
    assert len(counts(follow)) == 1024 + 1
    append, left = follow.journal.append, written

    def failing(kind: str, body: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise JournalUnwritable("full")
        return append(kind, body)

    monkeypatch.setattr(follow.journal, "append", failing)
    follow.now = 1.0
    with pytest.raises((AttributeError, JournalUnwritable)):
        follow.follower.step()
    for _ in range(3):
        follow.stop()
        follow.start()
        follow.seen()
    follow.stop()
    follow.start()
    assert sum(n for _, _, n in counts(follow)) == 2200


@pytest.mark.parametrize("fail_at", range(8))
def test_what_was_counted_is_neither_lost_nor_told_twice(
    follow: Follow, fail_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever record is the last that can be written before the process ends; lines of other kinds lie between."""
    kinds = [{"source": f"192.0.2.{n}:1"} for n in range(3)]
    follow.add(*(line(f"r{n}", **kinds[n % 3]) for n in range(30)), line("k", iss="https://id", sub="agent-7"))
    append, written = follow.journal.append, 0

    def failing(kind: str, body: Any) -> int:
        nonlocal written
        if written == fail_at:
            raise JournalUnwritable("full")
        written += 1
        return append(kind, body)

    monkeypatch.setattr(follow.journal, "append", failing)
    try:
        while follow.follower.step(3):
            pass
        follow.now = 1.0
        follow.follower.step()
    except JournalUnwritable:
        pass
    follow.stop()
    follow.start()
    follow.add(*(line(f"s{n}", **kinds[n % 3]) for n in range(3)))
    follow.seen()
    follow.stop()
    follow.start()
    follow.seen()
    totals: dict[str, int] = {}
    for _, peer, n in counts(follow):
        totals[peer] = totals.get(peer, 0) + n
    assert totals == {"192.0.2.0:1": 11, "192.0.2.1:1": 11, "192.0.2.2:1": 11, "peer-k:4000": 1}


def test_a_rotation_tells_what_was_counted(follow: Follow) -> None:
    """Lines are of the file that they are in."""
    follow.add(line("r1", **STRANGER), line("r2", **STRANGER))
    follow.seen()
    follow.log.rename(follow.log.with_suffix(".log.1"))
    follow.add(line("r3", **STRANGER))
    follow.seen()
    assert [n for _, _, n in counts(follow)] == [1, 1, 1]


FOLLOWER = """
import sys
from pathlib import Path
from tests.audit.test_accesslog import Follow
follow = Follow(Path(sys.argv[1]))
while True:
    follow.now += 0.1
    if follow.follower.step(1):
        print("line", flush=True)
"""


def test_a_killed_follower_records_every_line_once(tmp_path: Path) -> None:
    """SIGKILL at any moment: the next process goes on, and no refusal is missing or there twice."""
    follow = Follow(tmp_path)
    follow.stop()
    each = [line(f"r{n}") + line(f"c{n}", **STRANGER) for n in range(120)]
    follow.add(*each)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", FOLLOWER, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(40):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    follow.start()
    assert [r for r in follow.seen() if r.startswith("r")] == [f"r{n}" for n in range(120)]
    follow.stop()
    assert sum(n for _, peer, n in counts(follow) if peer == STRANGER["source"]) == 120
