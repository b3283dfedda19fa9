"""The access log: one JSON object a line, with the same members for every listener."""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    ExtensionFilter,
    OrFilter,
    ResponseFlagFilter,
)
from envoy_data_plane.envoy.config.core.v3 import SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.google.protobuf import Struct, Value

from extproc.adapters.envoy.handover import SOURCE, filter_state
from extproc.adapters.envoy.plan import Via
from extproc.adapters.envoy.processor import NAMESPACE
from extproc.adapters.envoy.render import packed

ACCESS_LOG = "access.log"
"""The file, relative to Envoy's working directory."""

ACCESS_FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "status": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "decision": f"%DYNAMIC_METADATA({NAMESPACE}:id)%",
    "target": "%ROUTE_NAME%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "upstream_host": "%UPSTREAM_HOST%",
    "source": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "iss": f"%DYNAMIC_METADATA({NAMESPACE}:iss)%",
    "sub": f"%DYNAMIC_METADATA({NAMESPACE}:sub)%",
    "session": f"%DYNAMIC_METADATA({NAMESPACE}:session)%",
}
"""The members, beside `via`: the listener's kind, of which a CONNECT is a `proxy`. What is not known is null.

There is no path: it may carry what nobody should read in a log, and nothing masks this one. Of what was decided, the
decision's record has it, masked."""


CONNECTION_ID = "%STREAM_ID%"
"""What Envoy calls a connection that it hands over whole, to the worker and in the access log: a UUID."""


def exchanges_log(via: Via) -> AccessLog:
    """A line for each exchange."""
    return _log(via, {})


def connections_log(via: Via, target: str = "") -> AccessLog:
    """A line for each connection that failed before or beside what can be asked on it: another name than the target's,
    a certificate that does not verify, no TLS where it has to be."""
    changes: dict[str, str | None] = {
        "details": "connection:%CONNECTION_TERMINATION_DETAILS%:%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
        # Where a tunnel's bytes went is in the line of its CONNECT, with the decision.
        "upstream_host": None,
    }
    if target:
        changes["target"] = target
    broken = ExpressionFilter(expression="connection.transport_failure_reason != '' && request.size == 0")
    log = _log(via, changes)
    log.filter = AccessLogFilter(
        or_filter=OrFilter(
            filters=[
                AccessLogFilter(response_flag_filter=ResponseFlagFilter()),
                AccessLogFilter(
                    extension_filter=ExtensionFilter(
                        name="envoy.access_loggers.extension_filters.cel", typed_config=packed(broken)
                    )
                ),
            ]
        )
    )
    return log


def handed_over_log(via: Via) -> AccessLog:
    """A line for each connection that was to be handed over, when it has ended. What was decided on it, and that
    nothing was, the worker's records say, under the same `request_id`. `upstream_host` is the worker's socket."""
    failed = "%RESPONSE_CODE_DETAILS%:%CONNECTION_TERMINATION_DETAILS%:%UPSTREAM_TRANSPORT_FAILURE_REASON%"
    return _log(via, {"request_id": CONNECTION_ID, "details": f"handed-over:{failed}"})


def _log(via: Via, changes: dict[str, str | None]) -> AccessLog:
    fields: dict[str, str | None] = {**ACCESS_FIELDS, "via": via.value, **changes}
    if via is Via.TUNNEL:
        # The connection's other end is Envoy itself.
        fields["source"] = filter_state(SOURCE)
    members = {name: Value(string_value=text) for name, text in fields.items() if text is not None}
    file = FileAccessLog(
        path=ACCESS_LOG,
        log_format=SubstitutionFormatString(json_format=Struct(fields=members), omit_empty_values=False),
    )
    return AccessLog(name="envoy.access_loggers.file", typed_config=packed(file))
