"""Work that goes on."""

import asyncio

import pytest

from extproc.server import kept
from extproc.server.kept import keeping


def test_a_fault_ends_no_work(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the work begins anew; at the end of the context it is over."""
    monkeypatch.setattr(kept, "AGAIN_SECONDS", 0.0)
    begun: list[int] = []

    async def main() -> None:
        again, over = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.append(1)
            if len(begun) == 1:
                raise ValueError("once")
            again.set()
            try:
                await asyncio.Event().wait()
            finally:
                over.set()

        async with keeping(work):
            await asyncio.wait_for(again.wait(), 30)
        assert over.is_set()

    asyncio.run(main())
    assert len(begun) == 2
    assert "ValueError: once" in caplog.text
