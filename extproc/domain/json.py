"""The JSON value type, spelled once."""

from collections.abc import Mapping, Sequence

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Document = Mapping[str, JSON]
