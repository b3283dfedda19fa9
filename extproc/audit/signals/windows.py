"""Sliding sums over the last minute, hour and day, in buckets. Pure."""

from collections.abc import Iterable

WINDOWS = ("minute", "hour", "day")
# Seconds of one bucket, and how many make the window: 60 s of 5, an hour of 300, a day of 3600.
BUCKETS = ((5, 12), (300, 12), (3600, 24))


class Windows:
    """One figure. The bucket that has begun counts beside the whole ones, so a sum covers at least its window and at
    most a twelfth more (the day: one hour more); nothing of the window is ever missing."""

    __slots__ = ("_rings",)

    def __init__(self, rings: Iterable[Iterable[tuple[int, int]]] = ((), (), ())) -> None:
        """`rings` is what `state` gave."""
        self._rings = tuple(dict(ring) for ring in rings)

    def add(self, at: float, n: int) -> None:
        """Count `n` at `at` (seconds since the epoch); times need not be in order."""
        for (width, _), ring in zip(BUCKETS, self._rings, strict=True):
            bucket = int(at // width)
            ring[bucket] = ring.get(bucket, 0) + n

    def sums(self, now: float) -> dict[str, int]:
        """{minute, hour, day} as of `now`; forgets what is over."""
        found = {}
        for name, (width, parts), ring in zip(WINDOWS, BUCKETS, self._rings, strict=True):
            oldest = int(now // width) - parts
            for bucket in [b for b in ring if b < oldest]:
                del ring[bucket]
            found[name] = sum(ring.values())
        return found

    def due(self) -> float:
        """When a sum changes by time alone; infinite where all are 0."""
        return min(
            (
                (min(ring) + parts + 1) * width
                for (width, parts), ring in zip(BUCKETS, self._rings, strict=True)
                if ring
            ),
            default=float("inf"),
        )

    def state(self) -> list[list[list[int]]]:
        """What it is made of, for JSON."""
        return [[[bucket, n] for bucket, n in ring.items()] for ring in self._rings]
