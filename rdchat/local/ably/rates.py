"""How much may happen in a second."""

from __future__ import annotations

from .errors import AblyError


class Rate:
    """An allowance that fills up evenly: `per_second` a second, and at most one second's worth at a time."""

    __slots__ = ("_at", "_left", "_per_second")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` at `now` (seconds); return False, taking nothing, when not enough is left."""
        self._left = min(self._per_second, self._left + max(now - self._at, 0.0) * self._per_second)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


def rate_exceeded(code: int, metric: str) -> AblyError:
    """Refuse what is too much for this second, in the words of the real service."""
    return AblyError(code, f"rate limit exceeded; request rejected (nonfatal); metric = {metric}", status=429)
