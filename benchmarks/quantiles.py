"""Quantiles, as all benchmarks mean them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values are not above; of none, not a number."""
    if not ascending:
        return float("nan")
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
