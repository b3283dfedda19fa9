"""What a tunnel's CONNECT hands over to the internal listener that serves what is inside: kept by Envoy with the
tunnel's connection, out of every client's reach."""

from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import (
    FilterStateValue,
    FilterStateValueSharedWithUpstream,
)
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config
from envoy_data_plane.google.protobuf import Any

from extproc.adapters.envoy.render import packed

HAND_OVER = "envoy.filters.http.set_filter_state"
TICKET = "holdpoint.ticket"
"""What the processor said of the tunnel in its dynamic metadata, `ticket`."""

SOURCE = "holdpoint.source"
"""The client's address and port."""


def filter_state(key: str) -> str:
    """The format that gives what is kept under a key."""
    return f"%FILTER_STATE({key}:PLAIN)%"


def no_hand_over() -> Config:
    """The filter for every route: it keeps nothing."""
    return Config()


def hand_over() -> dict[str, Any]:
    """The settings of the routes that open a tunnel. Of an opaque one there is no ticket, and none is kept."""
    kept = {TICKET: "%DYNAMIC_METADATA(holdpoint:ticket)%", SOURCE: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"}
    values = [
        FilterStateValue(
            object_key=key,
            # Part of what connections are told apart by: one that was made for a client who left in the meantime is
            # never given to another, who would be taken for the first.
            factory_key="envoy.hashable_string",
            format_string=SubstitutionFormatString(
                text_format_source=DataSource(inline_string=text), omit_empty_values=True
            ),
            # To the internal listener's connection, and no further.
            shared_with_upstream=FilterStateValueSharedWithUpstream.ONCE,
            skip_if_empty=True,
        )
        for key, text in kept.items()
    ]
    return {HAND_OVER: packed(Config(on_request_headers=values))}
