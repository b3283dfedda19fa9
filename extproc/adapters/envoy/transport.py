"""TLS at the gateway's own ends."""

from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    TlsParameters,
    TlsParametersTlsProtocol,
)

from extproc.adapters.envoy.render import packed


def downstream_tls(certificate: SdsSecretConfig, clients: SdsSecretConfig | None = None) -> TransportSocket:
    """A TLS server. With `clients` a client may show a certificate, and one that does not verify gets no connection;
    who has to show one, the worker knows."""
    context = DownstreamTlsContext(
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
            alpn_protocols=["h2", "http/1.1"],
            tls_certificate_sds_secret_configs=[certificate],
            validation_context_sds_secret_config=clients,
        ),
        require_client_certificate=False,
        # A resumed session carries a certificate that was verified once: not again, and not against today's list of
        # revoked ones.
        disable_stateless_session_resumption=clients is not None,
        disable_stateful_session_resumption=clients is not None,
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context))
