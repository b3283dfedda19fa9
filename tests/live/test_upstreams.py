"""Where upstreams' names lead: what is checked is what is used, and a name that turns on us is cut off at once."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from extproc.adapters.resolve import Resolver, Unresolved
from extproc.app.upstreams import KEPT_SECONDS, Upstreams
from extproc.config import Settings, TargetSettings
from tests.live.making import NameServer, Records, name_server, settings


class Written:
    """What was written down for Envoy."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}

    def __call__(self, folder: Path, target: TargetSettings, addresses: Sequence[str]) -> bool:
        changed = self.addresses.get(target.name) != tuple(addresses)
        self.addresses[target.name] = tuple(addresses)
        return changed


def made(home: Path, dns: NameServer, *targets: str) -> Settings:
    """Settings whose names this server answers for."""
    return settings(home, *targets, more=f'dns: {{servers: ["127.0.0.1:{dns.port}"]}}')


def test_resolver_tells_what_is_final_from_what_may_pass() -> None:
    """A name that is not there is final; a server that fails, or is not there, is not. `localhost` asks nobody."""

    async def main() -> None:
        with name_server() as dns:
            dns.answers["a.test"] = ("2606:4700::1", "1.1.1.2", "1.1.1.1")
            dns.failing.add("b.test")
            async with Resolver([("127.0.0.1", dns.port)]) as resolver:
                assert await resolver.addresses("a.test") == ("1.1.1.1", "1.1.1.2", "2606:4700::1")
                assert await resolver.addresses("localhost") == ("127.0.0.1", "::1")
                with pytest.raises(Unresolved) as failed:
                    await resolver.addresses("b.test")
                assert not failed.value.final
                with pytest.raises(Unresolved) as missing:
                    await resolver.addresses("c.test")
                assert missing.value.final

    asyncio.run(main())


def test_a_name_that_turns_on_us_is_cut_off_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A public address, then loopback: the target has no address at all from then on, until the name behaves again."""
    written, records = Written(), Records()

    async def main() -> None:
        with name_server() as dns:
            dns.answers["crm.test"] = ("93.184.216.34",)
            given = made(tmp_path, dns, 'crm: {upstream: "http://crm.test:9001"}')
            upstreams = Upstreams(given, records, written)
            await upstreams.refresh()
            assert written.addresses == {"crm": ("93.184.216.34",)}
            dns.answers["crm.test"] = ("93.184.216.34", "127.0.0.1")
            await upstreams.refresh()
            await upstreams.refresh()
            assert written.addresses == {"crm": ()}
            dns.answers["crm.test"] = ("93.184.216.35",)
            await upstreams.refresh()
            assert written.addresses == {"crm": ("93.184.216.35",)}

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    (record,) = records.of("refusal")
    assert (record["code"], record["host"]) == ("address-refused", "crm.test")
    assert record["addresses"] == [{"address": "127.0.0.1", "why": "loopback"}]
    assert "name its network in `networks`" in caplog.text


CASES = [
    ("", ("127.0.0.1",), ()),
    ("networks: [127.0.0.0/8]", ("127.0.0.1",), ("127.0.0.1",)),
    ("networks: [10.0.0.0/8]", ("10.1.2.3", "127.0.0.1"), ()),
    ("networks: [10.0.0.0/8]", ("10.1.2.3", "10.1.2.4"), ("10.1.2.3", "10.1.2.4")),
    ("", ("::ffff:127.0.0.1",), ()),
    ("", ("169.254.169.254",), ()),
    ("", ("1.1.1.1", "2606:4700::1", "1.1.1.2"), ("1.1.1.1", "1.1.1.2")),
    ("", ("2606:4700::1",), ("2606:4700::1",)),
    ("", ("1.1.1.1", "fd00::1"), ()),
]


@pytest.mark.parametrize(("setting", "answer", "expected"), CASES)
def test_networks(tmp_path: Path, setting: str, answer: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Private addresses are reached by targets that name their network, and by no others."""
    written = Written()

    async def main() -> None:
        with name_server() as dns:
            dns.answers["crm.test"] = answer
            given = made(tmp_path, dns, f'crm: {{upstream: "http://crm.test:9001", {setting}}}')
            await Upstreams(given, Records(), written).refresh()

    asyncio.run(main())
    assert written.addresses == {"crm": expected}


def test_our_own_listeners_are_never_a_target(tmp_path: Path) -> None:
    """Not even for a target that names the network."""
    written, records = Written(), Records()

    async def main() -> None:
        with name_server() as dns:
            dns.answers["crm.test"] = ("127.0.0.1",)
            given = made(tmp_path, dns, 'crm: {upstream: "http://crm.test:8080", networks: [127.0.0.0/8]}')
            await Upstreams(given, records, written).refresh()

    asyncio.run(main())
    assert written.addresses == {"crm": ()}
    assert records.of("refusal")[0]["addresses"] == [{"address": "127.0.0.1", "why": "the gateway's own listener"}]


def test_last_good_addresses_outlive_a_name_server_for_an_hour(tmp_path: Path) -> None:
    """A failing server changes nothing for so long; one that says that the name is gone does at once."""
    written, now = Written(), [0.0]

    async def main() -> None:
        with name_server() as dns:
            dns.answers["a.test"] = dns.answers["b.test"] = ("1.1.1.1",)
            given = made(tmp_path, dns, 'a: {upstream: "http://a.test"}', 'b: {upstream: "http://b.test"}')
            upstreams = Upstreams(given, Records(), written, clock=lambda: now[0])
            await upstreams.refresh()
            dns.failing.add("a.test")
            del dns.answers["b.test"]
            now[0] = KEPT_SECONDS
            await upstreams.refresh()
            assert written.addresses == {"a": ("1.1.1.1",), "b": ()}
            now[0] = KEPT_SECONDS + 1
            await upstreams.refresh()
            assert written.addresses == {"a": (), "b": ()}

    asyncio.run(main())
