"""A watcher process for tests that kill it. Arguments: the state directory."""

import asyncio
import signal
import sys
from pathlib import Path

from extproc.adapters.signals import WatchPace, run_watcher


async def main() -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_watcher(Path(sys.argv[1]), stop, pace=WatchPace(idle=0.01, publish=0.01, keep=0.01))


asyncio.run(main())
