"""How a gateway takes up the trail that it finds, and how it leaves it."""

from extproc.audit.reader import records, streams
from tests.support.gateway import Gateway


def test_a_journal_of_the_old_format_is_refused_with_what_to_do() -> None:
    """At the start, by name, and it is left as it was."""
    gateway = Gateway()
    try:
        for stream in ("worker-0", "supervisor"):
            old = gateway.state / "journal" / f"{stream}.journal"
            old.parent.mkdir(0o700, parents=True, exist_ok=True)
            gateway.state.chmod(0o700)
            old.write_bytes(b"as it was")
            done = gateway.administer("up")
            assert done.returncode == 2
            said = done.stderr
            assert f"{old}: a journal of format 1" in said
            assert "move it out of" in said
            assert "Traceback" not in said
            assert old.read_bytes() == b"as it was"
            old.unlink()
    finally:
        gateway.stop()


def test_a_state_has_one_gateway_and_every_end_is_signed() -> None:
    """A second `up` is refused while one runs. After SIGTERM every stream ends with a seal or is signed to its end, and
    another start goes on with the same chains."""
    gateway = Gateway()
    try:
        gateway.start()
        ask(gateway)
        second = gateway.administer("up")
        assert second.returncode == 2
        assert "another gateway runs on this state" in second.stderr
        ask(gateway)
        for round_ in range(2):
            assert gateway.end() == 0
            found = gateway.verify()
            assert found["faults"] == []
            unsigned = {s["stream"]: s["seq"] for s in found["streams"] if s["signed"] is None}
            assert unsigned == {}
            ends = {s["stream"]: (s["seq"], s["signed"]["seq"]) for s in found["streams"]}
            assert {stream: seq - signed for stream, (seq, signed) in ends.items() if seq - signed > 1} == {}
            last = {path.name: list(records(path))[-1].kind for path in streams(gateway.state)}
            assert last == dict.fromkeys(last, "seal")
            if not round_:
                gateway.start()
                ask(gateway)
        assert len([r for r in gateway.records("genesis") if r["stream"] == "worker-0"]) == 1
        assert len(gateway.records("decision")) == 3
    finally:
        gateway.stop()


def ask(gateway: Gateway) -> None:
    """One action."""
    with gateway.client() as agent:
        assert agent.get("/x").status_code == 200
