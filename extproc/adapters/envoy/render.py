"""Envoy's typed messages as documents in protobuf's JSON form.

betterproto2's `to_dict` resolves the type hints of a message's class again for each message, and its `Any` holds bytes
that are parsed again: 300 ms of CPU for one target. Here the fields of a class are looked up once, and a packed message
stays typed.
"""

from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from functools import cache
from typing import Any as Anything
from weakref import ReferenceType, ref

import betterproto2
from betterproto2 import FieldMetadata, Message, MessagePool, ProtoClassMetadata
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.message_pool import default_message_pool

Document = dict[str, Anything]
"""A JSON document in Envoy's shape, whose members only Envoy's own schema describes."""

_Write = Callable[[Anything], Anything]
_KEPT = frozenset({Cluster, Listener, Route, RouteConfiguration, Secret})
_kept: dict[int, tuple[ReferenceType[Message], Document]] = {}


class Packed(Any):
    """An Any that keeps its message typed; it is encoded only where bytes are asked for."""

    # The fields are those of its base.
    _betterproto_meta = ProtoClassMetadata(Any)
    _message: Message

    def unpack(self, message_pool: MessagePool | None = None) -> Message:
        """The message itself."""
        return self._message

    def __bool__(self) -> bool:
        return True

    def __bytes__(self) -> bytes:
        return bytes(Any.pack(self._message))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and self._message == other._message

    def __deepcopy__(self, _: Anything = None) -> "Packed":
        return packed(deepcopy(self._message))


def packed(message: Message) -> Packed:
    """Pack a message. It is shared, not copied."""
    found = Packed(type_url=default_message_pool.type_to_url[type(message)])
    found._message = message
    return found


def document(message: Message) -> Document:
    """A message, its members named as in the schema. That of a resource or a route is kept for as long as the message
    lives: neither may be changed from now on. Raises TypeError for an Any without a type."""
    identity = id(message)
    if identity in _kept and _kept[identity][0]() is message:
        return _kept[identity][1]
    written: Document = {}
    if isinstance(message, Any):
        inner = message.unpack()
        if inner is None:
            raise TypeError("an Any without a type")
        written["@type"] = message.type_url
        written |= {"value": inner.to_dict()} if _is_special(type(inner)) else document(inner)
    else:
        for name, key, optional, write in _fields(type(message)):
            value = getattr(message, name)
            # Presence counts where the schema says so; elsewhere a default is as good as nothing.
            if value is not None if optional else value:
                written[key] = write(value)
    if type(message) in _KEPT:
        _kept[identity] = ref(message, lambda _: _kept.pop(identity, None)), written
    return written


@cache
def _fields(kind: type[Message]) -> list[tuple[str, str, bool, _Write]]:
    """Name, member in JSON, whether presence counts, and writer of each field of a class."""
    found = []
    for field in fields(kind):  # type: ignore[arg-type]  # Generated classes are dataclasses.
        meta = FieldMetadata.get(field)
        write = _writer(meta)
        optional = bool(meta.optional) or (meta.proto_type == betterproto2.TYPE_MESSAGE and not meta.repeated)
        if meta.map_meta is not None:
            write = _map_of(_writer(meta.map_meta[1]))
        elif meta.repeated:
            write, optional = _list_of(write), False
        found.append((field.name, field.name.rstrip("_"), optional, write))
    return found


def _writer(meta: FieldMetadata) -> _Write:
    """The writer of one value of a field."""
    match meta.proto_type:
        case betterproto2.TYPE_MESSAGE if meta.unwrap is not None:
            return _wrapped(meta.unwrap)
        case betterproto2.TYPE_MESSAGE:
            return _message
        case betterproto2.TYPE_ENUM:
            return _enum
        case betterproto2.TYPE_BYTES:
            return lambda value: b64encode(value).decode()
        case kind if kind in betterproto2.INT_64_TYPES:
            return str
    return lambda value: value


def _list_of(write: _Write) -> _Write:
    return lambda values: [write(value) for value in values]


def _map_of(write: _Write) -> _Write:
    return lambda values: {key: write(value) for key, value in values.items()}


def _wrapped(unwrap: Callable[[], Anything]) -> _Write:
    """Writer of a field whose value has a Python type, such as a duration."""
    return lambda value: unwrap().from_wrapped(value).to_dict()


def _message(value: Message) -> Anything:
    return value.to_dict() if _is_special(type(value)) else document(value)


def _enum(value: betterproto2.Enum) -> str | int:
    return value.proto_name or value.name or int(value)


@cache
def _is_special(kind: type[Message]) -> bool:
    """Whether protobuf has a JSON form of its own for this class: a duration, a struct."""
    return not issubclass(kind, Any) and kind.to_dict is not Message.to_dict
