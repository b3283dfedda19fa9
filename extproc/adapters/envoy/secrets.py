"""Credentials and keys as SDS resources: Envoy reads the files, our processes never hold what is in them."""

from envoy_data_plane.envoy.config.core.v3 import DataSource, WatchedDirectory
from envoy_data_plane.envoy.extensions.filters.http.credential_injector.v3 import CredentialInjector
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.injected_credentials.generic.v3 import Generic
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    GenericSecret,
    SdsSecretConfig,
    Secret,
    TlsCertificate,
)

from extproc.adapters.envoy.messages import extension, once_per_target, watched, watched_file
from extproc.adapters.envoy.plan import Credential, TargetPlan, TlsFiles
from extproc.adapters.envoy.render import packed

SECRETS = "secrets"
"""Folder of the targets' secret resources, below Envoy's working directory."""

LEAVES = "certs"
"""Folder of the certificates that intercepted tunnels show, `<target>.crt` and `<target>.key`, and of the resources
that name them."""

CLIENT_CA = "client-ca"
"""Name of the authorities of clients' certificates, in `client-ca.json`."""

LISTENER_TLS = "tls"
"""Name of the listeners' own certificate, in `tls.json` beside the other resources."""


@once_per_target
def credential_secret(target: str, credential: Credential) -> Secret:
    """The resource that names a target's credential file."""
    return Secret(name=target, generic_secret=GenericSecret(secret=watched_file(credential.file)))


def listener_secret(tls: TlsFiles) -> Secret:
    """The resource that names the listener's certificate and key; a rename in the certificate's folder reloads both."""
    certificate = watched_file(tls.certificate)
    return Secret(
        name=LISTENER_TLS,
        tls_certificate=TlsCertificate(
            certificate_chain=DataSource(filename=tls.certificate),
            private_key=DataSource(filename=tls.key),
            watched_directory=WatchedDirectory(path=certificate.watched_directory.path)
            if certificate.watched_directory
            else None,
        ),
    )


def client_ca_secret(tls: TlsFiles) -> Secret:
    """The resource that names the authorities of clients' certificates, and their revocation lists."""
    roots = watched_file(tls.client_ca or "")
    return Secret(
        name=CLIENT_CA,
        validation_context=CertificateValidationContext(
            trusted_ca=DataSource(filename=tls.client_ca or ""),
            crl=DataSource(filename=tls.crl) if tls.crl else None,
            watched_directory=roots.watched_directory,
        ),
    )


def client_ca_source() -> SdsSecretConfig:
    """Where the listeners find them."""
    return SdsSecretConfig(name=CLIENT_CA, sds_config=watched(f"{CLIENT_CA}.json", "."))


@once_per_target
def leaf_secret(target: str) -> Secret:
    """The resource that names the certificate and key that a target's intercepted tunnels show."""
    return Secret(
        name=f"leaf-{target}",
        tls_certificate=TlsCertificate(
            certificate_chain=DataSource(filename=f"{LEAVES}/{target}.crt"),
            private_key=DataSource(filename=f"{LEAVES}/{target}.key"),
            watched_directory=WatchedDirectory(path=LEAVES),
        ),
    )


def leaf_file(target: str) -> str:
    """Where that resource is."""
    return f"{LEAVES}/{target}.json"


def leaf_source(target: str) -> SdsSecretConfig:
    """Where a target's internal listener finds them."""
    return SdsSecretConfig(name=f"leaf-{target}", sds_config=watched(leaf_file(target), LEAVES))


def listener_secret_source() -> SdsSecretConfig:
    """Where the listener finds its certificate."""
    return SdsSecretConfig(name=LISTENER_TLS, sds_config=watched(f"{LISTENER_TLS}.json", "."))


def upstream_filters(target: TargetPlan) -> list[HttpFilter]:
    """The filters on the way to a target's upstream: put the credential in, whatever stood there, then send.

    `allow_request_without_credential` stays off: a request is refused with 401 while the file cannot be read.
    """
    if target.credential is None:
        return []
    generic = Generic(
        credential=SdsSecretConfig(name=target.key, sds_config=watched(f"{SECRETS}/{target.key}.json", SECRETS)),
        header=target.credential.header,
        header_value_prefix=target.credential.prefix,
    )
    injector = CredentialInjector(
        overwrite=True,
        allow_request_without_credential=False,
        credential=extension("envoy.http.injected_credentials.generic", generic),
    )
    return [
        HttpFilter(name="envoy.filters.http.credential_injector", typed_config=packed(injector)),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=packed(UpstreamCodec())),
    ]
