"""The decision client against engines that answer, lie, stall, hang up and go away."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import uvloop

from extproc.adapters.opa.client import LIGHT, OpaClient, UnixAddress, weight
from extproc.domain.ports import PolicyUnavailable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


GOOD = _answer(b'{"result": {"effect": "allow"}}')


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    return head + await reader.readexactly(length)


@asynccontextmanager
async def _engine(
    path: Path, handler: Handler, deadline: float = 5.0, connections: int = 8
) -> AsyncIterator[OpaClient]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(path / "opa.sock"))
    client = OpaClient(UnixAddress(path / "opa.sock"), "t0ken", deadline_seconds=deadline, connections=connections)
    try:
        yield client
    finally:
        client.close()
        server.close()


def _always(data: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await _request(reader)
            writer.write(data)

    return handler


def test_a_request_carries_token_and_input(tmp_path: Path) -> None:
    """What the engine reads is one whole POST with our token and the input."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _request(reader))
        writer.write(GOOD)

    async def scene() -> object:
        async with _engine(tmp_path, handler) as client:
            return await client.evaluate({"schema": 1})

    assert asyncio.run(scene()) == {"effect": "allow"}
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/data/holdpoint/main/decision?strict-builtin-errors=true HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer t0ken\r\n" in head
    assert body == b'{"input":{"schema":1}}'


CASES = [
    (_answer(b"{}"), "policy-undefined"),
    (_answer(b'{"result": null}'), "policy-undefined"),
    (_answer(b"[1]"), "policy-malformed"),
    (_answer(b"{"), "policy-malformed"),
    (_answer(b'{"result": NaN}'), "policy-malformed"),
    (_answer(b'{"code": "internal_error"}', b"500 Internal Server Error"), "policy-malformed"),
    (_answer(b'{"result": {"effect": "allow"}}', b"201 Created"), "policy-malformed"),
    (_answer(b'{"result": {"effect": "allow"}}', b"302 Found"), "policy-malformed"),
    (_answer(b"", b"401 Unauthorized"), "policy-unreachable"),
    (_answer(b"", b"403 Forbidden"), "policy-unreachable"),
    (b"nonsense\r\n\r\n", "policy-malformed"),
]


@pytest.mark.parametrize(("data", "code"), CASES)
def test_an_answer_that_is_no_decision_has_its_code(tmp_path: Path, data: bytes, code: str) -> None:
    """Every answer but a defined result under status 200 is an unavailable policy."""

    async def scene() -> None:
        async with _engine(tmp_path, _always(data)) as client:
            await client.evaluate({})

    with pytest.raises(PolicyUnavailable) as caught:
        asyncio.run(scene())
    assert caught.value.code == code


def test_a_response_cut_at_every_byte_is_no_decision(tmp_path: Path) -> None:
    """An engine that dies in the middle of its answer decided nothing."""

    async def scene(cut: int) -> str:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _request(reader)
            writer.write(GOOD[:cut])

        async with _engine(tmp_path, handler) as client:
            with pytest.raises(PolicyUnavailable) as caught:
                await client.evaluate({})
            return caught.value.code

    for cut in range(len(GOOD)):
        assert asyncio.run(scene(cut)) == "policy-unreachable"


def test_a_slow_engine_meets_the_deadline_and_its_late_answer_is_nobodys(tmp_path: Path) -> None:
    """After a timeout the next question goes over a new connection, so that it can't get the old answer. It is asked
    twice before it is late."""
    release = asyncio.Event()
    asked = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await _request(reader)
        if asked <= 2:
            writer.write(GOOD[:20])
            await release.wait()
            writer.write(GOOD[20:])
        else:
            writer.write(_answer(b'{"result": 2}'))

    async def scene() -> tuple[str, object]:
        async with _engine(tmp_path, handler, deadline=0.1) as client:
            with pytest.raises(PolicyUnavailable) as caught:
                await client.evaluate({})
            release.set()
            return caught.value.code, await client.evaluate({})

    assert asyncio.run(scene()) == ("policy-timeout", 2)


def test_a_late_answer_is_asked_for_once_more(tmp_path: Path) -> None:
    """A machine that is busy for a moment refuses nobody; what is heavy is asked once."""
    asked = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await _request(reader)
        if asked in (1, 3):
            await reader.read()
        else:
            writer.write(_answer(b'{"result": 2}'))

    async def scene() -> tuple[object, str]:
        async with _engine(tmp_path, handler, deadline=0.1) as client:
            answer = await client.evaluate({})
            client.close()
            with pytest.raises(PolicyUnavailable) as caught:
                await client.evaluate(HEAVY)
            return answer, caught.value.code

    assert asyncio.run(scene()) == (2, "policy-timeout")
    assert asked == 3


def test_a_light_question_that_gets_no_place_is_refused_as_busy(tmp_path: Path) -> None:
    """And the engine never hears of it; what has the place is answered."""
    release, arrived = asyncio.Event(), asyncio.Event()
    asked = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await _request(reader)
        asked += 1
        arrived.set()
        await release.wait()
        writer.write(GOOD)

    async def scene() -> tuple[object, str]:
        async with _engine(tmp_path, handler, deadline=60.0, connections=1) as client:
            first = asyncio.create_task(client.evaluate({}))
            await arrived.wait()
            client._deadline = 0.1
            with pytest.raises(PolicyUnavailable) as busy:
                await client.evaluate({})
            release.set()
            return await first, busy.value.code

    assert asyncio.run(scene()) == ({"effect": "allow"}, "policy-busy")
    assert asked == 1


def test_an_idle_connection_that_went_stale_is_replaced_once(tmp_path: Path) -> None:
    """An engine that closes kept-alive connections unasked costs nothing but a reconnect."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _request(reader)
        writer.write(GOOD)
        await writer.drain()
        # The next request is read, and the connection closed without a byte of answer.
        if connections == 1:
            await _request(reader)

    async def scene() -> list[object]:
        async with _engine(tmp_path, handler) as client:
            return [await client.evaluate({}), await client.evaluate({})]

    assert asyncio.run(scene()) == [{"effect": "allow"}] * 2
    assert connections == 2


def test_a_fresh_connection_is_not_tried_again(tmp_path: Path) -> None:
    """An engine that takes requests and answers none is asked once for each evaluation."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _request(reader)

    async def scene() -> None:
        async with _engine(tmp_path, handler) as client:
            await client.evaluate({})

    with pytest.raises(PolicyUnavailable) as caught:
        asyncio.run(scene())
    assert (caught.value.code, connections) == ("policy-unreachable", 1)


def test_unasked_bytes_close_the_connection(tmp_path: Path) -> None:
    """An answer sent twice is not taken for the next question's."""
    answers = iter([GOOD + GOOD, _answer(b'{"result": 2}')])

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(next(answers))
        await reader.read()

    async def scene() -> tuple[str, object]:
        async with _engine(tmp_path, handler) as client:
            with pytest.raises(PolicyUnavailable) as caught:
                await client.evaluate({})
            return caught.value.code, await client.evaluate({})

    assert asyncio.run(scene()) == ("policy-malformed", 2)


def test_cancelling_closes_the_connection(tmp_path: Path) -> None:
    """The engine sees the connection end when the asker no longer wants to know."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        asked.set()
        await reader.read()
        ended.set()

    async def scene() -> None:
        async with _engine(tmp_path, handler) as client:
            task = asyncio.create_task(client.evaluate({}))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(scene())


def test_connections_are_bounded_and_kept(tmp_path: Path) -> None:
    """Twenty questions at once share two connections."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _always(GOOD)(reader, writer)

    async def scene() -> int:
        async with _engine(tmp_path, handler, connections=2) as client:
            return len(await asyncio.gather(*(client.evaluate({}, f"agent-{i}") for i in range(20))))

    assert asyncio.run(scene()) == 20
    assert connections == 2


def test_no_engine_is_unreachable(tmp_path: Path) -> None:
    """A socket that is not there is an unavailable policy, not an exception of the system's."""
    with pytest.raises(PolicyUnavailable) as caught:
        asyncio.run(OpaClient(UnixAddress(tmp_path / "none.sock"), None).evaluate({}))
    assert caught.value.code == "policy-unreachable"


def test_an_input_that_is_not_json_is_malformed(tmp_path: Path) -> None:
    """Nothing is sent for an input that can't be written."""
    with pytest.raises(PolicyUnavailable) as caught:
        asyncio.run(OpaClient(UnixAddress(tmp_path / "none.sock"), None).evaluate({"a": "\ud800"}))
    assert caught.value.code == "policy-malformed"


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "é"])
def test_a_token_that_would_break_the_head_is_refused(token: str) -> None:
    """A token goes into a header line, so it must be able to stand in one."""
    with pytest.raises(ValueError):
        OpaClient(UnixAddress(Path("x")), token)


HEAVY = {"values": list(range(2 * LIGHT))}


def test_an_engine_that_does_not_stop_keeps_the_slot(tmp_path: Path) -> None:
    """A late answer is read to its end and dropped, and then the slot is free: for the same principal, not before."""
    release, asked = asyncio.Event(), 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await _request(reader)
        asked += 1
        if asked == 1:
            await release.wait()
        writer.write(GOOD)
        await reader.read()

    async def scene() -> tuple[str, str, int, object]:
        async with _engine(tmp_path, handler, deadline=0.1) as client:
            with pytest.raises(PolicyUnavailable) as late:
                await client.evaluate(HEAVY, "agent")
            with pytest.raises(PolicyUnavailable) as busy:
                await client.evaluate(HEAVY, "agent")
            before = asked
            release.set()
            return late.value.code, busy.value.code, before, await client.evaluate(HEAVY, "agent")

    assert asyncio.run(scene()) == ("policy-timeout", "policy-busy", 1, {"effect": "allow"})


def test_light_evaluations_pass_by_heavy_ones(tmp_path: Path) -> None:
    """While one principal's heavy evaluations have the slot and wait for it, another's light one is answered; and so
    is one of the same principal, for half of the places are nobody's in particular."""
    release = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if b"values" in await _request(reader):
                await release.wait()
            writer.write(GOOD)

    async def scene() -> list[object]:
        async with _engine(tmp_path, handler) as client:
            heavy = [asyncio.create_task(client.evaluate(HEAVY, "eager")) for _ in range(20)]
            await asyncio.sleep(0)
            light = [await client.evaluate({}, "other"), await client.evaluate({}, "eager")]
            assert not any(task.done() for task in heavy)
            release.set()
            return light + list(await asyncio.gather(*heavy))

    assert asyncio.run(scene()) == [{"effect": "allow"}] * 22


def test_one_principal_leaves_places_to_others(tmp_path: Path) -> None:
    """Twenty light questions of one principal stand still; one of another's is answered."""
    release = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if b"stuck" in await _request(reader):
                await release.wait()
            writer.write(GOOD)

    async def scene() -> object:
        async with _engine(tmp_path, handler) as client:
            stuck = [asyncio.create_task(client.evaluate({"stuck": True}, "eager")) for _ in range(20)]
            await asyncio.sleep(0)
            answer = await client.evaluate({}, "other")
            release.set()
            await asyncio.gather(*stuck)
            return answer

    assert asyncio.run(scene()) == {"effect": "allow"}


@pytest.mark.parametrize(
    ("document", "heavy"),
    [
        ({"path": "/customers/7", "segments": ["customers", "7"]}, False),
        ({"segments": ["a"] * 14_000}, True),
        ({"json": {str(i): i for i in range(24_000)}}, True),
        ({"columns": [{"schema": None, "table": None, "name": f"c{i}"} for i in range(1000)]}, True),
        ({"text": "x" * 100_000}, True),
        ({"text": "x" * 10_000}, False),
    ],
)
def test_what_is_heavy(document: dict[str, object], heavy: bool) -> None:
    """By values and bytes."""
    assert (weight(orjson.dumps({"input": document})) > LIGHT) is heavy


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_came_in_time_counts_though_the_loop_was_busy(
    tmp_path: Path, run: Callable[..., object]
) -> None:
    """The engine keeps the deadline; the loop, kept from reading its answer beyond it, does not make it late."""

    async def scene() -> object:
        client = OpaClient(UnixAddress(tmp_path / "opa.sock"), None, deadline_seconds=0.05)
        await client.evaluate({})
        asking = asyncio.create_task(client.evaluate({}))
        for _ in range(10):
            await asyncio.sleep(0)
        # Until both the answer is there and the deadline has passed nothing else runs in this loop.
        go.set()
        assert answered.acquire(timeout=10)
        time.sleep(0.1)  # noqa: ASYNC251 - the fault that is tested
        answer = await asking
        client.close()
        await asyncio.sleep(0)
        return answer

    go, answered = threading.Event(), threading.Semaphore(0)

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            for number in range(2):
                received = b""
                while not received.endswith(b"{}}"):
                    received += connection.recv(65536)
                if number:
                    go.wait(10)
                connection.sendall(GOOD)
                if number:
                    answered.release()
            connection.recv(1)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "opa.sock"))
        listening.listen()
        engine = threading.Thread(target=serve, args=(listening,), daemon=True)
        engine.start()
        assert run(scene()) == {"effect": "allow"}
