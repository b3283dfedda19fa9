"""What the door leaves on the disk."""

import asyncio
from pathlib import Path

from extproc.adapters.envoy.plan import EnvoyPlan
from extproc.app.door import REMOVED_SECONDS, Door
from extproc.app.layout import Layout
from extproc.app.plan import envoy_plan
from extproc.config import parse

HEAD = """
version: 1
state: state
listen: {proxy: 127.0.0.1:8081}
identity: {agents: [{issuer: "https://x", audience: a}]}
targets: {%s}
"""


def test_keys_of_removed_targets_go(tmp_path: Path) -> None:
    """With the last request that could need them, and at a start."""
    layout, now = Layout(tmp_path / "state"), [0.0]
    layout.keys.mkdir(parents=True)
    leaves = layout.envoy / "certs"

    def plan(*names: str) -> EnvoyPlan:
        targets = ", ".join(f'{name}: {{upstream: "https://{name}.test"}}' for name in names)
        return envoy_plan(parse((HEAD % targets).encode(), tmp_path / "c.yaml"))

    def there() -> set[str]:
        return {file.name for end in ("key", "crt") for file in leaves.glob(f"*.{end}")}

    both, one = {"a.key", "a.crt", "b.key", "b.crt"}, {"a.key", "a.crt"}

    async def run() -> None:
        door = Door(layout, lambda: now[0])
        await door.start(plan("a", "b"))
        assert there() == both
        await door.change(plan("a"))
        assert there() == both
        now[0] += REMOVED_SECONDS + 1
        await door.sweep()
        assert there() == one
        (leaves / "old.key").write_text("")
        await Door(layout).start(plan("a"))
        assert there() == one

    asyncio.run(run())
