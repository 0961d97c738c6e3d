"""The states as a picture of box characters, the way that the session took drawn heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    Step = tuple[str, str]

_SPINE: Final = (Status.PENDING, Status.ACTIVE, Status.ENDING_SOON, Status.COMPLETED)
_ARROW: Final = 13
_LIGHT: Final = "╭─╮│╰╯"
_HEAVY: Final = "┏━┓┃┗┛"
#: The branch to `cancelled` leaves a box below, whether box and branch are heavy.
_TEES: Final = {(False, False): "┬", (True, False): "┯", (True, True): "┳"}


def picture(steps: Mapping[Step, tuple[str, str]], current: str) -> list[str]:
    """Draw the states, and below them the branch to `cancelled`.

    `steps` maps each pair of states that the session went between to what led there, and when.
    """
    visited = {Status.PENDING.value, current, *(state for step in steps for state in step)}
    rows = ["", "", "", ""]
    branch_down, branch_across = "", ""
    for number, status in enumerate(_SPINE):
        if number:
            step = (_SPINE[number - 1].value, status.value)
            trigger, at = steps.get(step, ("", ""))
            shaft = "━" if step in steps else "─"
            for row, part in enumerate((trigger, at, shaft * (_ARROW - 1) + "▶", "")):
                rows[row] += part.center(_ARROW)
        column = len(rows[1]) + len(status) // 2 + 2
        leaves = status is not Status.COMPLETED
        called_off = (status.value, Status.CANCELLED.value) in steps
        for row, part in enumerate(
            _box(status.value, heavy=status.value in visited, branch=leaves, heavy_branch=called_off), start=1
        ):
            rows[row] += part
        rows[0] = rows[0].ljust(len(rows[1]))
        if leaves:
            branch_down = branch_down.ljust(column) + ("┃" if called_off else "│")
            branch_across = branch_across.ljust(column, "─" if branch_across else " ")
            branch_across += "┴" if number else "╰"
    ending = f"{Status.CANCELLED}" if Status.CANCELLED not in visited else f"{Status.CANCELLED} ◀"
    return [row.rstrip() for row in (*rows, branch_down, f"{branch_across}── cancel, or missed ──▷ {ending}")]


def _box(name: str, *, heavy: bool, branch: bool, heavy_branch: bool) -> tuple[str, str, str]:
    left, line, right, side, low_left, low_right = _HEAVY if heavy else _LIGHT
    width = len(name) + 2
    bottom = line * width
    if branch:
        middle = len(name) // 2 + 1
        bottom = bottom[:middle] + _TEES[heavy, heavy_branch] + bottom[middle + 1 :]
    return f"{left}{line * width}{right}", f"{side} {name} {side}", f"{low_left}{bottom}{low_right}"
