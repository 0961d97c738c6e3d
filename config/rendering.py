"""The table of settings in its other forms: the example file, the README's rows, a list for the terminal."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from config.loading import set_variables
from config.settings import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config.declaring import SettingRow

_WIDTH: Final = 110
_GAP: Final = 2
_LONGEST_PADDED: Final = 30
#: Between these two the README's rows stand.
BEGIN: Final = "<!-- settings: `make docs` writes these rows -->"
END: Final = "<!-- end of settings -->"


def example() -> str:
    """Write the example file: every setting with its default, or an example that is commented out."""
    secrets = [row.variable for row in ROWS.values() if row.secret]
    lines = _comment(
        "Every setting of rdchat, with its default. Copy, change, and put into the service's environment; an "
        "empty variable counts as unset. `run.py settings` shows what is in effect."
    )
    lines += _comment(
        "These can also come from files, for instance RDCHAT_JWT_SECRET_FILE=/run/secrets/jwt: "
        f"{', '.join(secrets[:-1])} and {secrets[-1]}."
    )
    for row in ROWS.values():
        if row.section:
            lines += ["", f"# ---- {row.section}"]
        meaning = _plain(_with_unit(row))
        lines += _comment(f"{meaning[0].upper()}{meaning[1:]}. {row.details}")
        lines.append(f"{row.variable}={row.default}" if row.default else f"#{row.variable}={row.example}")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Write the README's table."""
    lines = ["| variable | default | |", "|---|---|---|"]
    for row in ROWS.values():
        default = row.unset or (f"`{row.default}`" if row.default else "none")
        lines.append(f"| `{row.variable}` | {default} | {_with_unit(row)} |")
    return "\n".join(lines) + "\n"


def with_rows(page: str) -> str:
    """Return the page with an up-to-date table between its two markers. Raise ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{begin}\n\n{markdown()}\n{end}{after}"


def listing(environment: Mapping[str, str], width: int | None) -> str:
    """Write every setting with its present value, default and meaning, aligned; secrets only as set or unset.

    With a `width` what is long continues below itself; without, each setting is one line.
    """
    table = [("setting", "value", "default", "meaning")]
    for row in ROWS.values():
        default = _plain(row.unset or row.default or "none")
        table.append((row.variable, _present(row, environment), default, _plain(_with_unit(row))))
    widths = _column_widths(table, width)
    lines = []
    for cells in table:
        wrapped = [
            _wrapped(cell, column) if width else [cell] for cell, column in zip(cells, widths, strict=True)
        ]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(column) for part, column in zip(parts, widths, strict=True))
            lines.append((" " * _GAP).join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _present(row: SettingRow, environment: Mapping[str, str]) -> str:
    variables = set_variables(row, environment)
    if row.secret:
        return "set" if variables else "unset"
    return environment[variables[0]] if variables else row.default or "unset"


def _column_widths(table: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Return the widths: what names need; values and defaults get up to three tenths each of the rest."""
    needed = [max(map(len, column)) for column in zip(*table, strict=True)]
    name, value, default, meaning = needed
    if width is None:
        # One long value must not push everything off the screen; it is not cut either.
        return [name, min(value, _LONGEST_PADDED), default, meaning]
    left = max(width - name - 3 * _GAP, 40)
    value, default = min(value, left * 3 // 10), min(default, left * 3 // 10)
    return [name, value, default, left - value - default]


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, width, break_on_hyphens=False) or [""]


def _with_unit(row: SettingRow) -> str:
    return f"{row.meaning} ({row.unit})" if row.unit else row.meaning


def _plain(text: str) -> str:
    return text.replace("`", "")


def _comment(text: str) -> list[str]:
    return [
        f"# {line}"
        for part in text.strip().split("\n")
        for line in textwrap.wrap(part, _WIDTH - 2, break_on_hyphens=False, break_long_words=False)
    ]
