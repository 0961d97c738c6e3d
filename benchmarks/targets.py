"""Targets, and tables in Markdown, as reports have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Target:
    """A target, the figure that was reached, and whether it holds."""

    text: str
    reached: str
    holds: bool

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"target": self.text, "reached": self.reached, "holds": self.holds}


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table: the first column to the left, the others to the right."""
    align = ["---", *(["--:"] * (len(heading) - 1))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heading, align, *rows))


def render_targets(targets: Iterable[Target]) -> str:
    """Render what was wanted, and what came of it."""
    return table(
        ["target", "reached", ""],
        [[one.text, one.reached, "holds" if one.holds else "**does not hold**"] for one in targets],
    )
