"""Attacks that tests count: what was tried, how often, and what got through, for one table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The property of a test's report that an attack stands in.
PROPERTY: Final = "attack"


class Attack(NamedTuple):
    """What was tried on the service, how often, and how often it got through."""

    what: str
    tried: int
    through: int


class Attacks:
    """Notes the attacks of one test."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def count(self, what: str, *, tried: int, through: Sequence[object]) -> None:
        """Note an attack, and fail if it was never tried or if any of it got through."""
        self._properties.append((PROPERTY, [what, tried, len(through)]))
        assert tried > 0, f"{what}: not tried"
        assert not through, f"{what}: {len(through)} of {tried} got through: {list(through)[:10]}"


def attacks_of(reports: Iterable[Any]) -> list[Attack]:
    """Collect what the reports of tests say of attacks: one entry a kind, in order."""
    found: dict[str, Attack] = {}
    for report in reports:
        if report.when != "call":
            continue
        for name, value in report.user_properties:
            if name == PROPERTY:
                what, tried, through = value
                known = found.get(what, Attack(what, 0, 0))
                found[what] = Attack(what, known.tried + tried, known.through + through)
    return list(found.values())


def as_table(attacks: Sequence[Attack]) -> str:
    """Return the attacks as a table of text with a line for each kind."""
    rows = [("tried", "times", "got through")]
    rows += [(one.what, f"{one.tried:,}", str(one.through)) for one in attacks]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return "\n".join(
        f"{what:<{widths[0]}}  {tried:>{widths[1]}}  {through:>{widths[2]}}" for what, tried, through in rows
    )
