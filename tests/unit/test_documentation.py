"""What the documentation names is there."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
_HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n- Status: (?P<status>accepted|superseded)\b.*\n"
    r"- Date: (?P<date>\d{4}-\d\d-\d\d)\n"
)


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


def test_every_decision_has_status_and_date_and_stands_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = re.findall(
        r"^\| \[(\d+)\]\(([\w.-]+)\) \| (.+) \| (\w+) \|$",
        (folder / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    records = []
    for path in sorted(folder.glob("[0-9]*.md")):
        head = _HEAD.match(path.read_text(encoding="utf-8"))
        assert head is not None, f"{path.name} does not begin with title, status and date"
        assert date.fromisoformat(head["date"])
        assert int(path.name[:4]) == int(head["number"])
        records.append((head["number"], path.name, head["title"], head["status"]))
    assert index == records


def test_decisions_that_refine_one_another_both_say_so() -> None:
    pages = {
        int(path.name[:4]): path.read_text(encoding="utf-8")
        for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")
    }

    def named(label: str) -> set[tuple[int, int]]:
        return {
            (number, int(other))
            for number, page in pages.items()
            for line in re.findall(rf"^- {label}: (.*)$", page, re.MULTILINE)
            for other in re.findall(r"\[(\d+)\]", line)
        }

    assert named("Refines") == {(later, earlier) for earlier, later in named("Refined by")}
