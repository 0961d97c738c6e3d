"""Reports: their numbers by name, and whether they add up."""

from __future__ import annotations

from typing import Any


def flat(numbers: dict[str, Any]) -> dict[str, Any]:
    """Name numbers within numbers as the table does."""
    named: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, dict) and name != "psychologist":
            named |= {f"{name}.{inner}": one for inner, one in value.items()}
        elif not isinstance(value, dict | list):
            named[name] = value
    return named


def adds_up(report: dict[str, Any]) -> bool:
    """Tell whether each counselling is counted once, in all and by psychologist."""
    parts = [report, *report["psychologists"]]
    of_each = [flat(one) for one in parts]
    apart = ("held", "missed", "ahead", "underWay")
    for one in of_each:
        counted = sum(
            one[name] for name in one if name in apart or name.startswith(("noShows.", "cancelled."))
        )
        if one["booked"] != counted or one["presumed"] > one["held"]:
            return False
    total, *others = of_each
    numbers = [name for name in others[0] if name != "medianWaitMinutes"] if others else []
    return all(total[name] == sum(one[name] for one in others) for name in numbers)
