"""What came out for a target: how many mutants were caught, and which lived without leave."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

#: How a mutant is caught: tests fail, hang, or crash.
CAUGHT: Final = frozenset({"killed", "timeout", "segfault"})

#: Percent of its mutants that the tests of a target have to catch.
FLOOR = 92.0


@dataclass(frozen=True, slots=True)
class Survivor:
    """A change that no test noticed.

    It is known by what was changed into what: the numbers of mutants move with the code.
    """

    function: str
    removed: str
    added: str

    @classmethod
    def read(cls, mutant: str, diff: str) -> Self:
        function = mutant.rpartition("__mutmut_")[0].replace(".x_", ".").replace(".xǁ", ".").replace("ǁ", ".")
        lines = diff.splitlines()
        return cls(function, _changed(lines, "-"), _changed(lines, "+"))


def _changed(lines: list[str], sign: str) -> str:
    changed = (line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(sign * 3))
    return "\n".join(changed).strip()


def listed(page: Path) -> list[Survivor]:
    """Read who may live; each entry has to say why."""
    entries = tomllib.loads(page.read_text()).get("survivor", [])
    for entry in entries:
        if not entry["reason"].strip():
            raise ValueError(f"a survivor of {entry['function']} is listed without a reason")
    return [
        Survivor(entry["function"], entry["removed"].strip(), added.strip())
        for entry in entries
        for added in ([entry["added"]] if isinstance(entry["added"], str) else entry["added"])
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    target: str
    mutants: int
    caught: int
    timed_out: int
    accepted: int
    unlisted: tuple[Survivor, ...]

    @classmethod
    def of(
        cls, target: str, statuses: list[str], survivors: list[Survivor], accepted: list[Survivor]
    ) -> Self:
        leave = Counter(accepted)
        unlisted = []
        for survivor in survivors:
            leave[survivor] -= 1
            if leave[survivor] < 0:
                unlisted.append(survivor)
        counts = Counter(statuses)
        caught = sum(counts[status] for status in CAUGHT)
        return cls(
            target, len(statuses), caught, counts["timeout"], len(survivors) - len(unlisted), tuple(unlisted)
        )

    @property
    def percent(self) -> float:
        return 100 * self.caught / self.mutants if self.mutants else 0.0

    @property
    def holds(self) -> bool:
        return self.percent >= FLOOR and not self.unlisted


def table(verdicts: list[Verdict]) -> str:
    """Show the figures, and below them each survivor that is not listed, as `survivors.toml` would."""
    lines = [
        f"{'target':14}{'mutants':>9}{'caught':>8}{'by time':>9}{'listed':>8}{'unlisted':>10}{'percent':>9}"
    ]
    lines += [
        f"{v.target:14}{v.mutants:9}{v.caught:8}{v.timed_out:9}{v.accepted:8}{len(v.unlisted):10}{v.percent:9.1f}"
        f"  {'holds' if v.holds else 'FAILS'}"
        for v in verdicts
    ]
    lines.append(f"The floor is {FLOOR:.0f} percent, and every survivor is listed with its reason.")
    for verdict in verdicts:
        for survivor in verdict.unlisted:
            lines += ["", "[[survivor]]", f'function = "{survivor.function}"']
            lines += [f"removed = '''{survivor.removed}'''", f"added = '''{survivor.added}'''", 'reason = ""']
    return "\n".join(lines)
