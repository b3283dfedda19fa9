"""Who is let in: the jwt_authn filter and the clusters that it fetches keys from."""

from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import DataSource, HttpUri
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwksAsyncFetch,
    JwtAuthentication,
    JwtCacheConfig,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    RemoteJwks,
    RequirementRule,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from extproc.adapters.envoy.clusters import http_cluster
from extproc.adapters.envoy.messages import seconds
from extproc.adapters.envoy.plan import Provider, Scheme, Upstream

JWT_NAMESPACE = "envoy.filters.http.jwt_authn"
"""Dynamic metadata namespace of the verified claims."""

CLAIMS = "claims"
"""Key of the claims in that namespace, the same for every provider: `iss` and `aud` tell which one it was."""

CLOCK_SKEW_SECONDS = 30


def jwt_filter(providers: tuple[Provider, ...]) -> JwtAuthentication:
    """A verified token of one of the providers, on every request.

    The rule matches by an expression that any path fits, also the empty one of CONNECT, which the prefix `/` is not
    part of; paths that lead nowhere ask for a token too, so that nobody without one learns which do.
    """
    return JwtAuthentication(
        providers={_name(i): _provider(i, p) for i, p in enumerate(providers)},
        rules=[
            RequirementRule(
                match=RouteMatch(safe_regex=RegexMatcher(regex="(?s).*")),
                requires=_any_of([JwtRequirement(provider_name=_name(i)) for i in range(len(providers))]),
            )
        ],
        # A CORS preflight carries no token; an agent has no use for one.
        bypass_cors_preflight=False,
    )


def jwks_clusters(providers: tuple[Provider, ...]) -> list[Cluster]:
    """One cluster for each provider whose keys are fetched."""
    return [http_cluster(_cluster(i), _address(p)) for i, p in enumerate(providers) if p.remote]


def _provider(index: int, provider: Provider) -> JwtProvider:
    return JwtProvider(
        issuer=provider.issuer,
        audiences=[provider.audience],
        require_expiration=True,
        clock_skew_seconds=CLOCK_SKEW_SECONDS,
        forward=False,
        payload_in_metadata=CLAIMS,
        # A signature is verified once; expiry and audience are checked for every request all the same.
        jwt_cache_config=JwtCacheConfig(jwt_cache_size=1000),
        # Named, so that Envoy's default of also reading an access_token query parameter is off: queries get logged.
        from_headers=[JwtHeader(name="Authorization", value_prefix="Bearer ")],
        # Inline: Envoy reads a local JWKS file once, whatever is renamed into its place.
        local_jwks=None if provider.remote else DataSource(inline_string=provider.jwks),
        remote_jwks=_remote(index, provider.jwks) if provider.remote else None,
    )


def _remote(index: int, url: str) -> RemoteJwks:
    return RemoteJwks(
        http_uri=HttpUri(uri=url, cluster=_cluster(index), timeout=seconds(5)),
        cache_duration=seconds(300),
        async_fetch=JwksAsyncFetch(failed_refetch_duration=seconds(5)),
    )


def _any_of(requirements: list[JwtRequirement]) -> JwtRequirement:
    if len(requirements) == 1:
        return requirements[0]
    return JwtRequirement(requires_any=JwtRequirementOrList(requirements=requirements))


def _address(provider: Provider) -> Upstream:
    parts = urlsplit(provider.jwks)
    scheme = Scheme(parts.scheme)
    return Upstream(scheme, parts.hostname or "", parts.port or (443 if scheme is Scheme.HTTPS else 80), ca=provider.ca)


def _name(index: int) -> str:
    return f"provider-{index}"


def _cluster(index: int) -> str:
    return f"jwks-{index}"
