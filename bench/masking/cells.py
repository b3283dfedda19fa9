"""How figures are written."""


def share(value: float | None) -> str:
    """A share of one; nothing for one of nothing."""
    return "" if value is None else f"{value:.3f}"


def rate(value: float) -> str:
    """MB/s, to three digits where it is slow."""
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def millis(value: float) -> str:
    """Milliseconds."""
    return f"{value:.2f}"


def met(is_met: bool) -> str:
    """The verdict on an aim."""
    return "met" if is_met else "missed"


def length(value: int) -> str:
    """Bytes."""
    units = ((20, "MiB"), (10, "KiB"))
    return next((f"{value >> by} {unit}" for by, unit in units if value >= 1 << by), f"{value} B")
