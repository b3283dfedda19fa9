"""Envoy aborts where the kernel gives it no more inotify instances; how many it takes is known before it runs."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.envoy.files import watch_limit, watches
from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.plan import Credential, EnvoyPlan, ProxyPlan, Scheme, TargetPlan, TlsFiles, Upstream
from extproc.app import config_watch
from extproc.app.config_watch import ConfigRefused, checked
from extproc.config import load
from tests.live.making import CRM, configuration
from tests.support.envoy import Gateway, start
from tests.support.envoy_tls import self_signed


def inotify_instances(process: int) -> int:
    """How many a process has."""
    found = 0
    for entry in os.scandir(f"/proc/{process}/fd"):
        with suppress(OSError):
            found += os.readlink(entry.path) == "anon_inode:inotify"
    return found


def plain(plan: EnvoyPlan) -> EnvoyPlan:
    """Without TLS and proxy."""
    return plan


def everything(plan: EnvoyPlan) -> EnvoyPlan:
    """With TLS, clients' certificates and a proxy."""
    crm = plan.targets[0]
    tls = TlsFiles(f"{crm.upstream.ca}", f"{Path(crm.upstream.ca or '').with_suffix('.key')}")
    return replace(plan, proxy=ProxyPlan("127.0.0.1", 0), tls=replace(tls, client_ca=tls.certificate))


@pytest.mark.parametrize("change", [plain, everything], ids=["plain", "TLS and a proxy"])
def test_envoy_takes_as_many_as_we_count(tmp_path: Path, change: object) -> None:
    """Of targets with an address or a name, with and without a credential, encrypted or not."""
    certificate, key = self_signed(tmp_path, "any")
    key.rename(Path(certificate).with_suffix(".key"))

    def targets(state: Path) -> tuple[TargetPlan, ...]:
        (state / "secret").write_text("s")
        web = Upstream(Scheme.HTTPS, "example.com", 443, ca=str(certificate))
        return (
            TargetPlan("web", web, credential=Credential(str(state / "secret"))),
            TargetPlan("six", Upstream(Scheme.HTTPS, "::1", 8000, ca=str(certificate))),
            TargetPlan("name", Upstream(Scheme.HTTP, "name.test", 8000)),
            TargetPlan("address", Upstream(Scheme.HTTP, "127.0.0.1", 8000)),
            TargetPlan("dark", Upstream(Scheme.HTTP, "dark.test", 22), opaque=True),
        )

    assert callable(change)
    gateway: Gateway = start(targets, change=change)
    try:
        assert inotify_instances(gateway.process.pid) == len(watches(generate(gateway.plan)))
    finally:
        gateway.stop()


def test_more_than_the_kernel_gives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it; an Envoy of one's own has limits of its own."""
    settings = load(configuration(tmp_path, CRM))
    monkeypatch.setattr(config_watch, "watch_limit", lambda: 20)
    with pytest.raises(ConfigRefused, match=r"1 targets take \d+ inotify instances, and the kernel gives a user 20; "):
        checked(settings, "envoy-is-not-asked")


def test_the_limit_is_the_kernels() -> None:
    """And nothing where the system has none."""
    assert (watch_limit() or 0) > 0
