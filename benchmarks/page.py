"""docs/benchmarks.md: each benchmark owns a section of it, between markers."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
RESULTS = Path(__file__).parent / "results"

_INTRODUCTION = """# Benchmarks

Every figure on this page was written by the command that stands above it, in one run on the machine that is
named. Machines differ and are noisy: compare figures of one table, not of two runs.
"""


def write_section(name: str, text: str) -> None:
    """Replace the section `name`, or add it at the end."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    page = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else _INTRODUCTION
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in page:
        page = page[: page.index(begin)] + section + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    DOCUMENT.write_text(page, encoding="utf-8")
