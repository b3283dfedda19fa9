"""A server of the Model Context Protocol behind the gateway, with the protocol's own client and server, under the
policies as shipped."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.server.fastmcp import FastMCP
from mcp.types import TextContent

from tests.support.gateway import Gateway, running

HELD = "[holdpoint] Held for approval: Writing in production needs a person's approval. "


class Server:
    """An MCP server with one tool that keeps what it was called with, on a port of its own."""

    def __init__(self) -> None:
        self.called: list[int] = []
        app = FastMCP("orders")
        app.add_tool(self.refund)
        app.add_tool(self.read)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        # The gateway gives the upstream its own address as Host.
        app.settings.transport_security = None
        config = uvicorn.Config(app.streamable_http_app(), log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

    def refund(self, order: int) -> str:
        """Pay an order back."""
        self.called.append(order)
        return f"order {order} of 4111111111111111 is paid back"

    def read(self) -> str:
        """Read something."""
        return "read"

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The upstream of both targets."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> Iterator[Gateway]:
    """Two targets before one server: production, where a call is held for a second, and test."""
    at = f"http://127.0.0.1:{server.port}"
    yield from running(
        targets=f'tools: {{upstream: "{at}", environment: production, wait: 1s}}\n'
        f'trial: {{upstream: "{at}", environment: test}}'
    )


@asynccontextmanager
async def session(gateway: Gateway, target: str) -> AsyncIterator[ClientSession]:
    """A session that is initialized, and ended afterwards."""
    headers = {"Authorization": f"Bearer {gateway.agents.token()}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as http,
        streamable_http_client(f"{gateway.url}/{target}/mcp", http_client=http) as (read, write, _),
        ClientSession(read, write) as client,
    ):
        await client.initialize()
        yield client


def approve(gateway: Gateway, hold: str) -> "subprocess.CompletedProcess[str]":
    """As one of those who may."""
    return gateway.holdpoint("holds", "approve", hold, "--reason", "ours", groups=("operators",))


def test_a_session_needs_nobody_and_a_call_in_production_is_held(gateway: Gateway, server: Server) -> None:
    """With an error that a client understands; approved, the same call goes through, whatever its id."""
    server.called.clear()

    async def use() -> None:
        async with session(gateway, "tools") as client:
            await client.send_ping()
            assert [tool.name for tool in (await client.list_tools()).tools] == ["refund", "read"]
            with pytest.raises(McpError) as refused:
                await client.call_tool("refund", {"order": 7})
            assert refused.value.error.message.startswith(HELD)
            data: Any = refused.value.error.data
            assert server.called == []
            ran = await asyncio.to_thread(approve, gateway, data["hold"])
            assert ran.returncode == 0, ran.stderr
            with pytest.raises(McpError):
                await client.call_tool("refund", {"order": 8})
            (content,) = (await client.call_tool("refund", {"order": 7})).content
            assert isinstance(content, TextContent)
            assert content.text == "order 7 of [masked:card] is paid back"

    asyncio.run(use())
    assert server.called == [7]
    ended = gateway.wait_records("decision", 1)[-1]
    assert (ended["action"]["verb"], ended["decision"]["effect"]) == ("DELETE", "allow")
    held = next(d for d in gateway.records("decision") if d["decision"]["effect"] == "hold")
    assert held["action"]["summary"]["mcp"] == {"kind": "request", "method": "tools/call", "name": "refund"}


def test_a_call_elsewhere_passes(gateway: Gateway, server: Server) -> None:
    """Outside production nobody is asked."""
    server.called.clear()

    async def use() -> None:
        async with session(gateway, "trial") as client:
            assert not (await client.call_tool("refund", {"order": 1})).isError

    asyncio.run(use())
    assert server.called == [1]
