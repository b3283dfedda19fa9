"""Small builders around Envoy's typed messages that every part of the generator uses."""

from datetime import timedelta
from functools import lru_cache

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    ApiVersion,
    ConfigSource,
    DataSource,
    PathConfigSource,
    Pipe,
    SocketAddress,
    TypedExtensionConfig,
    WatchedDirectory,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from extproc.adapters.envoy.render import packed

WINDOW = 256 * 1024
"""HTTP/2 stream window and connection buffer, in bytes: what one stalled stream may pile up in Envoy."""


_TARGETS = 4096

once_per_target = lru_cache(maxsize=_TARGETS)
"""Decorator: what a function of a target built is built once, and shared. It must not be changed afterwards."""


def seconds(value: float) -> timedelta:
    """A duration of so many seconds."""
    return timedelta(seconds=value)


def extension(name: str, message: Message) -> TypedExtensionConfig:
    """A message as an extension's configuration."""
    return TypedExtensionConfig(name=name, typed_config=packed(message))


def watched(path: str, directory: str) -> ConfigSource:
    """A resource file that Envoy reads again when something is renamed into `directory`.

    The first read happens at once or not at all, so a missing file delays start by one second and no more."""
    return ConfigSource(
        path_config_source=PathConfigSource(path=path, watched_directory=WatchedDirectory(path=directory)),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=seconds(1),
    )


def watched_file(path: str) -> DataSource:
    """A file's content, read again when something is renamed into its folder."""
    folder = path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
    return DataSource(filename=path, watched_directory=WatchedDirectory(path=folder))


def tcp(host: str, port: int) -> Address:
    """A TCP address; `host` may be a name where the cluster resolves names."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def unix(path: str) -> Address:
    """A unix socket."""
    return Address(pipe=Pipe(path=path))


def exactly(value: str) -> StringMatcher:
    """Matches one string."""
    return StringMatcher(exact=value)


def pattern(expression: str) -> StringMatcher:
    """Matches a whole string by an RE2 expression."""
    return StringMatcher(safe_regex=RegexMatcher(regex=expression))
