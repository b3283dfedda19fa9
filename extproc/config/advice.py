"""What is allowed and yet worth a second look: remarks for `check` to print. Mistakes are SettingsError's."""

from ipaddress import ip_address

from extproc.config.files import system_authorities
from extproc.config.postgres import ServerTls
from extproc.config.settings import Settings
from extproc.config.values import Url


def advice(settings: Settings) -> tuple[str, ...]:
    """One line for each thing that a careful operator would want to know, in the order of the settings."""
    lines: list[str] = []
    if settings.listen.tls is None and not _local(settings.listen.address.host):
        lines.append("listen.tls: agents' tokens cross the network in clear text; name a certificate")
    if settings.listen.tls is None and settings.listen.proxy is not None and not _local(settings.listen.proxy.host):
        lines.append("listen.proxy: agents' tokens cross the network in clear text; name a certificate (listen.tls)")
    if (
        settings.listen.tls is None
        and settings.listen.postgres is not None
        and not _local(settings.listen.postgres.host)
    ):
        lines.append(
            "listen.postgres: no token is taken from another machine without TLS; name a certificate (listen.tls)"
        )
    if not _local(settings.listen.ops.host):
        lines.append("listen.ops: metrics and health are open to other machines; keep agents from them")
    if not settings.identity.approvers:
        lines.append("identity.approvers: nobody can approve or deny; every hold ends by expiring")
    for target in settings.targets:
        if target.credential and _in_clear(target.upstream):
            lines.append(f"targets.{target.name}.upstream: its credential crosses the network in clear text; use https")
        if target.tls is ServerTls.OFF and not _local(target.upstream.host):
            lines.append(
                f"targets.{target.name}.tls: what the database is asked and answers crosses the network in clear text"
            )
        if target.tls is ServerTls.VERIFY_FULL and _local(target.upstream.host) and target.ca == system_authorities():
            lines.append(
                f"targets.{target.name}.tls: no public authority vouches for a server on this machine; write "
                "`tls: off`, or name its own authority (ca)"
            )
        if any(network.prefixlen == 0 for network in target.networks):
            lines.append(f"targets.{target.name}.networks: any address at all; name the one that is meant")
    if isinstance(settings.policy.engine, Url) and _in_clear(settings.policy.engine):
        lines.append("policy.engine: decisions fetched over http can be changed on the way; use a unix socket or https")
    if settings.audit.otlp and _in_clear(settings.audit.otlp):
        lines.append("audit.otlp: the journal crosses the network in clear text; use https")
    return tuple(lines)


def _in_clear(url: Url) -> bool:
    return url.scheme == "http" and not _local(url.host)


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
