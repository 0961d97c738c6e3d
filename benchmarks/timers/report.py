"""The tables: on the terminal, in docs/benchmarks.md between their markers, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.peers import ROOT
from benchmarks.timers import prose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.timers.plan import Plan

DOCUMENT = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results" / "timers.json"
_BEGIN, _END = "<!-- timers:begin -->", "<!-- timers:end -->"
#: From this share of the processors used by others on, a measurement is called disturbed.
DISTURBED = 0.10


@dataclass(frozen=True, slots=True)
class _Line:
    """One thing that is compared: where its number stands, how it is shown, whether more is better."""

    title: str
    measurement: str
    field: str
    show: Callable[[float], str]
    more_is_better: bool


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _milliseconds(number: float) -> str:
    return f"{number:,.1f} ms" if number < 1000 else f"{number / 1000:,.1f} s"  # noqa: PLR2004


def _seconds(number: float) -> str:
    return f"{number:.1f} s"


_LINES = (
    _Line("scheduling in bulk, jobs/s", "scheduling", "jobs_per_second", _whole, more_is_better=True),
    _Line("scheduling four a call, jobs/s", "booking", "jobs_per_second", _whole, more_is_better=True),
    _Line("Redis bytes a job", "bytes", "per_job", _whole, more_is_better=False),
    _Line("late, p50", "lateness", "p50_ms", _milliseconds, more_is_better=False),
    _Line("late, p99", "lateness", "p99_ms", _milliseconds, more_is_better=False),
    _Line("late, worst", "lateness", "max_ms", _milliseconds, more_is_better=False),
    _Line("late at 5,000/s, p50", "lateness_fast", "p50_ms", _milliseconds, more_is_better=False),
    _Line("late at 5,000/s, p99", "lateness_fast", "p99_ms", _milliseconds, more_is_better=False),
    _Line("late at 5,000/s, worst", "lateness_fast", "max_ms", _milliseconds, more_is_better=False),
    _Line("at one instant, jobs/s", "drain", "jobs_per_second", _whole, more_is_better=True),
    _Line("cancelling, jobs/s", "cancel", "jobs_per_second", _whole, more_is_better=True),
    _Line("run again after kill -9", "recovery", "seconds", _seconds, more_is_better=False),
)


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return the sizes and bounds as plain data."""
    return dataclasses.asdict(plan)


def as_text(results: dict[str, Any]) -> str:
    """Draw the tables."""
    return "\n\n".join([_table(*_numbers(results)), _table(*_ratios(results)), *_failures(results)])


def write(results: dict[str, Any]) -> list[Path]:
    """Write JSON and the section of the document; return the files."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = DOCUMENT.read_text() if DOCUMENT.exists() else prose.INTRODUCTION
    section = f"{_BEGIN}\n{_section(results)}\n{_END}"
    if _BEGIN in text:
        text = text[: text.index(_BEGIN)] + section + text[text.index(_END) + len(_END) :]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    DOCUMENT.write_text(text)
    return [path.relative_to(ROOT) for path in (DOCUMENT, RESULTS)]


def _section(results: dict[str, Any]) -> str:
    parts = [
        prose.HEADING,
        prose.circumstances(results),
        _table(*_ratios(results)),
        prose.AFTER_RATIOS,
        _table(*_numbers(results)),
        *_failures(results),
        prose.meaning(results["plan"]),
        prose.settings(results),
    ]
    return "\n\n".join(parts)


def _numbers(results: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Every contender's numbers, one column each."""
    entries = list(results["contenders"].values())
    rows = [[line.title, *(_cell(entry, line) for entry in entries)] for line in _LINES]
    rows += [
        [f"{name}, of {results['plan']['lateness']:,}", *(_oddity(entry, name) for entry in entries)]
        for name in ("early", "missing", "twice")
    ]
    rows.append(["used by others", *(_elsewhere(entry) for entry in entries)])
    return ["", *(entry["title"] for entry in entries)], rows


def _cell(entry: dict[str, Any], line: _Line) -> str:
    number = _number(entry, line)
    return "-" if number is None else line.show(number)


def _number(entry: dict[str, Any], line: _Line) -> float | None:
    return entry.get(line.measurement, {}).get(line.field)


def _oddity(entry: dict[str, Any], name: str) -> str:
    found = entry.get("lateness", {})
    return _whole(found[name]) if name in found else "-"


def _elsewhere(entry: dict[str, Any]) -> str:
    return f"{entry['elsewhere']:.0%}" if "elsewhere" in entry else "-"


def _ratios(results: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Ours beside the best peer, line by line; above 1 we are better."""
    ours = results["contenders"].get("ours", {})
    peers = [entry for name, entry in results["contenders"].items() if name != "ours"]
    rows = []
    for line in _LINES:
        mine = _number(ours, line)
        theirs = [(number, entry) for entry in peers if (number := _number(entry, line)) is not None]
        if theirs:
            best, entry = (max if line.more_is_better else min)(theirs, key=lambda pair: pair[0])
            peer = f"{line.show(best)} ({entry['title']})"
            ratio = "-" if mine is None else f"{mine / best if line.more_is_better else best / mine:.1f}"
        else:
            peer = ratio = "-"
        rows.append([line.title, "-" if mine is None else line.show(mine), peer, ratio])
    return ["", "rdchat", "best peer", "times better"], rows


def _failures(results: dict[str, Any]) -> list[str]:
    """Why there is no number where there is none, and what has to be said about others."""
    reasons = []
    for entry in results["contenders"].values():
        if "unavailable" in entry:
            reasons.append(f"- {entry['title']}: {entry['unavailable']}")
        reasons += [
            f"- {entry['title']}, {measurement}: {text}"
            for measurement, found in entry.items()
            if isinstance(found, dict) and (text := found.get("failed") or found.get("note"))
        ]
    return (
        ["Why there is no number (`-`), and what else is to be said:\n\n" + "\n".join(reasons)]
        if reasons
        else []
    )


def _table(head: Sequence[str], rows: list[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def draw(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {first[0]:{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in others) + " |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "|".join(f"{'-' * (width + 1)}:" for width in widths[1:]) + "|"
    return "\n".join([draw(head), rule, *map(draw, rows)])
