"""The standard gRPC health service (grpc.health.v1), as far as Envoy's health checks ask for it.

The event loop answers, so a worker that hangs fails the check. Spelled in bytes: `HealthCheckResponse{status: SERVING}`
is field 1, varint 1, and what the request names does not matter.
"""

import grpc

_SERVING = b"\x08\x01"


async def _check(_: bytes, __: object) -> bytes:
    return _SERVING


def handler() -> grpc.GenericRpcHandler:
    """The generic handler to add to a grpc.aio server."""
    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(_check)}
    )
