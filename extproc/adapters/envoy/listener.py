"""The listeners that agents connect to: the gateway's own, and the forward proxy's."""

from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener

from extproc.adapters.envoy.access import connections_log
from extproc.adapters.envoy.manager import manager
from extproc.adapters.envoy.messages import WINDOW, seconds, tcp, watched
from extproc.adapters.envoy.plan import EnvoyPlan, TlsFiles, Via
from extproc.adapters.envoy.proxy import PROXY_ROUTES, PROXY_ROUTES_FILE
from extproc.adapters.envoy.routes import ROUTES, ROUTES_FILE
from extproc.adapters.envoy.secrets import client_ca_source, listener_secret_source
from extproc.adapters.envoy.transport import downstream_tls

LISTENER = "agents"
PROXY_LISTENER = "proxy"


def listeners(plan: EnvoyPlan) -> list[Listener]:
    """One, and the proxy's where there is one. They change only when what they are made of changes: a listener update
    drains its connections, and with them whatever is held, so routes, clusters and secrets are resources of their
    own."""
    found = [_listener(plan, LISTENER, plan.address, plan.port, Via.DIRECT, ROUTES, ROUTES_FILE)]
    if plan.proxy is not None:
        at = plan.proxy
        found.append(_listener(plan, PROXY_LISTENER, at.address, at.port, Via.PROXY, PROXY_ROUTES, PROXY_ROUTES_FILE))
    return found


def _listener(plan: EnvoyPlan, name: str, address: str, port: int, via: Via, routes: str, file: str) -> Listener:
    folder = file.rpartition("/")[0] or "."
    chain = FilterChain(
        filters=[manager(name, via, routes, watched(file, folder))],
        transport_socket=_tls(plan.tls) if plan.tls is not None else None,
        transport_socket_connect_timeout=seconds(10),
    )
    return Listener(
        name=name,
        address=tcp(address, port),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=WINDOW,
        access_log=[connections_log(via)] if plan.tls is not None else [],
    )


def _tls(tls: TlsFiles) -> TransportSocket:
    return downstream_tls(listener_secret_source(), client_ca_source() if tls.client_ca else None)
