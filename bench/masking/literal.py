"""Values written in Python source, read without running it.

Test files of other projects state their cases as literals, with a little arithmetic on strings. What is understood is
that and nothing else: constants, tuples, lists, names bound at module level, f-strings, `+`, `*`, `%`, `.format()`,
indexing, `str.join`. No call reaches any code of theirs.
"""

import ast
from collections.abc import Mapping

_LONGEST = 100_000


class NotLiteral(ValueError):
    """The expression is more than a literal. The message names the construct and its line."""


def names(tree: ast.Module) -> dict[str, object]:
    """The names that a module binds to literals at its top level, in order; others are left out, and so are the items
    of a list or tuple that are none."""
    bound: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name, given = node.targets[0].id, node.value
            bound.pop(name, None)
            if isinstance(given, ast.List | ast.Tuple):
                bound[name] = tuple(item for one in given.elts for item in _readable(one, bound))
            else:
                bound.update((name, item) for item in _readable(given, bound))
    return bound


def _readable(node: ast.expr, bound: Mapping[str, object]) -> tuple[object, ...]:
    """The one value of an expression, or none where it is no literal."""
    try:
        return (value(node, bound),)
    except NotLiteral:
        return ()


def value(node: ast.expr, bound: Mapping[str, object]) -> object:
    """What an expression says, lists as tuples. Raises NotLiteral."""
    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(value(item, bound) for item in items)
        case ast.Name(id=name) if name in bound:
            return bound[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = value(operand, bound)
            if isinstance(number, int | float):
                return -number
        case ast.BinOp(left=left, op=operator, right=right):
            return _operation(node, value(left, bound), operator, value(right, bound))
        case ast.JoinedStr(values=parts):
            return "".join(_text(node, value(_inner(part), bound)) for part in parts)
        case ast.Subscript(value=whole, slice=index):
            return _part(node, value(whole, bound), index, bound)
        case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args, keywords=keywords):
            given = [value(item, bound) for item in args]
            named = {k.arg: value(k.value, bound) for k in keywords if k.arg is not None}
            return _call(node, value(owner, bound), method, given, named)
    raise _refused(node)


def _inner(part: ast.expr) -> ast.expr:
    if isinstance(part, ast.FormattedValue):
        if part.format_spec is not None or part.conversion != -1:
            raise _refused(part)
        return part.value
    return part


def _text(node: ast.expr, found: object) -> str:
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)
    raise _refused(node)


def _operation(node: ast.expr, left: object, operator: ast.operator, right: object) -> object:
    match operator, left, right:
        case ast.Add(), str(), str():
            return left + right
        case ast.Add(), tuple(), tuple():
            return left + right
        case (ast.Mult(), str(), int()) if len(left) * right <= _LONGEST:
            return left * right
        case (ast.Mult(), int(), str()) if left * len(right) <= _LONGEST:
            return left * right
        case ast.Mod(), str(), str() | int():
            if left.count("%") == left.count("%s") == 1:
                return left.replace("%s", str(right))
    raise _refused(node)


def _part(node: ast.expr, whole: object, index: ast.expr, bound: Mapping[str, object]) -> object:
    if not isinstance(whole, str | tuple):
        raise _refused(node)
    if isinstance(index, ast.Slice):
        if index.step is not None:
            raise _refused(node)
        low, high = (None if at is None else value(at, bound) for at in (index.lower, index.upper))
        if isinstance(low, int | None) and isinstance(high, int | None):
            return whole[low:high]
        raise _refused(node)
    at = value(index, bound)
    if isinstance(at, int) and -len(whole) <= at < len(whole):
        return whole[at]
    raise _refused(node)


def _call(node: ast.expr, owner: object, method: str, given: list[object], named: dict[str, object]) -> object:
    if not isinstance(owner, str):
        raise _refused(node)
    if method == "join" and len(given) == 1 and isinstance(given[0], tuple):
        return owner.join(_text(node, item) for item in given[0])
    if method == "format":
        # Only strings and numbers go in, so a field like {0.x} or {0[x]} can reach nothing; such a field is refused.
        plain = [_text(node, item) for item in given]
        fields = {name: _text(node, item) for name, item in named.items()}
        try:
            return owner.format(*plain, **fields)
        except (IndexError, KeyError, ValueError, AttributeError, TypeError):
            raise _refused(node) from None
    raise _refused(node)


def _refused(node: ast.expr) -> NotLiteral:
    return NotLiteral(f"line {getattr(node, 'lineno', 0)}: {type(node).__name__} is not a literal")
