"""google.protobuf.Struct to plain values, and the other direction for the one struct we send."""

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value


def plain(struct: Struct) -> dict[str, Any]:
    """A Struct as a dict. Numbers are floats, as the format has it."""
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [_value(v) for v in value.list_value.values]
    return None
