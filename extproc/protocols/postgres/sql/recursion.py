"""Columns of set operations, and of WITH RECURSIVE: what they are made of when one part reads the other."""

from typing import Final

from extproc.protocols.postgres.sql.draft import union
from extproc.protocols.postgres.sql.members import inside
from extproc.protocols.postgres.sql.scope import ANYTHING, Back
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins, Output

_WIDE: Final = 200
"""Columns of a recursive query beyond which they are not told apart."""


def combined(one: tuple[Output, ...], other: tuple[Output, ...]) -> tuple[Output, ...]:
    """The columns of a set operation of two queries; the first one names them."""
    if [output.origins for output in one] == [output.origins for output in other]:
        return one
    if len(one) != len(other) or any(output.star for output in (*one, *other)):
        return (ANYTHING,)
    return tuple(
        Output(left.label, union((left.origins, right.origins))) for left, right in zip(one, other, strict=True)
    )


def provisional(outputs: tuple[Output, ...], cte: int) -> tuple[Output, ...]:
    """What the recursive part sees: the columns of the first one, each with a mark that it came round."""
    if any(output.star for output in outputs):
        return outputs
    return tuple(
        Output(output.label, union((output.origins, (Back(None, None, "", cte, place),))))
        for place, output in enumerate(outputs)
    )


def settled(outputs: tuple[Output, ...], cte: int) -> tuple[Output, ...]:
    """The marks replaced: by all that the column which came round is made of."""
    ways = [
        {one.place for one in output.origins or () if isinstance(one, Back) and one.cte == cte} for output in outputs
    ]
    if not any(ways):
        return outputs
    plain = [_plain(output.origins, cte) for output in outputs]
    if any(isinstance(one, Back) and one.part for output in outputs for one in output.origins or ()):
        plain = [union((origins, inside(origins))) for origins in plain]
    if len(outputs) > _WIDE:
        whole = union(plain)
        return tuple(Output(output.label, whole, output.star) for output in outputs)
    return tuple(
        Output(output.label, union(plain[each] for each in sorted(_reached(place, ways))), output.star)
        for place, output in enumerate(outputs)
    )


def _plain(origins: Origins, cte: int) -> Origins:
    if origins is UNKNOWN:
        return UNKNOWN
    return tuple(one for one in origins if not isinstance(one, Back) or one.cte != cte)


def _reached(place: int, ways: list[set[int]]) -> set[int]:
    found, todo = {place}, [place]
    while todo:
        for each in ways[todo.pop()]:
            if each not in found and each < len(ways):
                found.add(each)
                todo.append(each)
    return found
