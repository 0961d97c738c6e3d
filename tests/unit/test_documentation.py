"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_the_page_on_the_local_endpoint_names() -> None:
    page = (ROOT / "docs" / "ably-local.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "_" in line]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", row)}
    sources = [*(ROOT / "tests" / "realtime").glob("test_*.py")]
    sources += (ROOT / "tests" / "realtime" / "javascript").glob("test_*.py")
    sources.append(ROOT / "tests" / "e2e" / "test_ably_program.py")
    defined = set(
        re.findall(r"def test_(\w+)", "\n".join(one.read_text(encoding="utf-8") for one in sources))
    )
    assert len(named) > 60
    assert named - defined == set()


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []
