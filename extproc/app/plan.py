"""Settings → what Envoy is to be."""

from pathlib import Path

from extproc.adapters.envoy.files import read_jwks
from extproc.adapters.envoy.plan import Credential, EnvoyPlan, Provider, Scheme, TargetPlan, TlsFiles, Upstream
from extproc.config import AgentIssuer, Settings, TargetSettings


def envoy_plan(settings: Settings) -> EnvoyPlan:
    """The plan of these settings. Raises adapters.envoy.plan.BadPlan, and OSError for a key set that can't be read."""
    tls = settings.listen.tls
    return EnvoyPlan(
        address=settings.listen.address.host,
        port=settings.listen.address.port,
        domain=settings.listen.domain,
        providers=tuple(_provider(a) for a in settings.identity.agents),
        targets=tuple(_target(t, settings.listen.domain) for t in settings.targets),
        workers=settings.workers,
        tls=TlsFiles(str(tls.certificate), str(tls.key)) if tls else None,
    )


def _provider(agents: AgentIssuer) -> Provider:
    keys = read_jwks(agents.jwks) if isinstance(agents.jwks, Path) else str(agents.jwks)
    return Provider(agents.issuer, agents.audience, keys, str(agents.ca) if agents.ca else None)


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
        inspect=target.inspect.mode,
        wait_seconds=target.wait_seconds,
    )


def program_environment(metrics: Path, epoch: str) -> dict[str, str]:
    """What our own programs are told beside their arguments."""
    return {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "HOLDPOINT_EPOCH": epoch, "PYTHONUNBUFFERED": "1"}
