"""Settings → what Envoy is to be."""

from pathlib import Path

from extproc.adapters.envoy.plan import (
    Credential,
    EnvoyPlan,
    PostgresPlan,
    ProxyPlan,
    Scheme,
    TargetPlan,
    TlsFiles,
    Upstream,
    is_address,
)
from extproc.config import Settings, TargetSettings, Tls
from extproc.domain.target import Protocol


def envoy_plan(settings: Settings) -> EnvoyPlan:
    """The plan of these settings. Raises adapters.envoy.plan.BadPlan."""
    listen = settings.listen
    databases = [t for t in settings.targets if t.protocol is Protocol.POSTGRES]
    return EnvoyPlan(
        address=listen.address.host,
        port=listen.address.port,
        domain=listen.domain,
        targets=tuple(_target(t, listen.domain) for t in settings.targets if t.protocol is Protocol.HTTP),
        workers=settings.workers,
        tls=_tls(listen.tls) if listen.tls is not None else None,
        proxy=ProxyPlan(listen.proxy.host, listen.proxy.port) if listen.proxy is not None else None,
        postgres=PostgresPlan(listen.postgres.host, listen.postgres.port) if listen.postgres is not None else None,
        dialled=tuple(t.key for t in databases if not is_address(t.upstream.host)),
    )


def _tls(tls: Tls) -> TlsFiles:
    return TlsFiles(str(tls.certificate), str(tls.key), str(tls.client_ca) if tls.client_ca else None)


def _target(target: TargetSettings, domain: str) -> TargetPlan:
    upstream, credential = target.upstream, target.credential
    named = f"{target.name}.{domain}"
    return TargetPlan(
        name=target.name,
        upstream=Upstream(
            Scheme(upstream.scheme),
            upstream.host,
            upstream.port,
            upstream.base or "/",
            str(target.ca) if target.ca else None,
        ),
        hosts=(target.host,) if target.host != named else (),
        credential=Credential(str(credential.file), credential.header, credential.prefix) if credential else None,
        inspect=target.target.inspect,
        wait_seconds=target.wait_seconds,
        revision=target.revision,
        opaque=target.opaque,
    )


def program_environment(metrics: Path, epoch: str) -> dict[str, str]:
    """What our own programs are told beside their arguments."""
    return {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "HOLDPOINT_EPOCH": epoch, "PYTHONUNBUFFERED": "1"}
