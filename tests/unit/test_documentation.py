"""What the documentation names is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import click
import pytest

from run import cli
from statemachine.effects import NotificationType
from tests.mutants.verdict import listed as survivors
from tools import map as project_map

ROOT = Path(__file__).parents[2]
_PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
#: Where the account `nobody` is spoken of.
_ACCOUNT = ("docs/decisions/0006", "docs/decisions/README.md", "rdchat/local/stores/postgres.py")
_NOT_PLAIN = re.compile(r"\b(whoever|somebody|nobody|everybody|anew)\b", re.IGNORECASE)
_SOURCES = ("config", "statemachine", "rdchat", "handlers", "tests", "tools", "benchmarks")
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


@pytest.mark.parametrize(("page", "prefix"), [("realtime.md", ""), ("webhooks.md", "notification.")])
def test_a_row_for_each_type_of_notification_and_for_no_other(page: str, prefix: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    table = re.search(r"^\| type[^|]*\| who is notified .*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    rows = [line.split("|")[1].strip() for line in table[1].splitlines()]
    assert sorted(rows) == sorted(f"`{prefix}{one}`" for one in NotificationType)


def test_both_pages_say_the_same_of_who_is_notified_of_what() -> None:
    said = []
    for page in ("realtime.md", "webhooks.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(?:notification\.)?([a-z_]+)` \|(.+)\|$", text, re.MULTILINE)
        said.append({kind: rest for kind, rest in rows if kind in set(NotificationType)})
    assert said[0] == said[1]
    # Those who did it themselves are not told of it.
    for kind in (
        NotificationType.SESSION_RESCHEDULED,
        NotificationType.SESSION_CANCELLED,
        NotificationType.COUNSELING_REASSIGNED,
        NotificationType.PSYCHOLOGIST_UNAVAILABLE,
    ):
        assert " did not " in said[0][kind], kind


def commands_in(page: str) -> list[list[str]]:
    """List what pages say after `run.py`, without what only a shell makes something of."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"run\.py ([^`\n|)#]+)", text.replace("/run.py", " run.py"))
    return [shlex.split(one.rstrip(":., ")) for one in found]


@pytest.mark.parametrize("page", ["README.md", "docs/webhooks.md", "docs/ably-local.md", "docs/realtime.md"])
def test_commands_on_pages_are_those_of_the_program(page: str) -> None:
    for words in commands_in(page):
        command: click.Command = cli
        context = click.Context(cli)
        while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):
            command = command.commands[words.pop(0)]
        assert command is not cli, f"{page}: run.py has no {words[0]}"
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        places = [one for one in command.params if isinstance(one, click.Argument)]
        shown = [one.make_metavar(context).split("{")[0].strip("[].") for one in places]
        for word in words:
            if word.startswith("--"):
                assert word in options, f"{page}: {command.name} has no {word}"
        named = [word.strip("[].") for word in words if re.fullmatch(r"\[?[A-Z_]+\]?[.]*", word)]
        if named and "--" not in "".join(words):
            assert [one or "KIND" for one in shown] == named, f"{page}: {command.name}"


def test_prose_and_code_are_in_plain_english() -> None:
    folders = ({*_SOURCES, "web"} - {"tests"}) | {"docs"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*")]
    told = {
        (str(path.relative_to(ROOT)), word)
        for path in [*ROOT.glob("*.md"), *files]
        if path.suffix in (".py", ".html", ".js", ".md")
        for word in _NOT_PLAIN.findall(path.read_text(encoding="utf-8"))
    }
    assert [(name, word) for name, word in told if word != "nobody" or not name.startswith(_ACCOUNT)] == []


def test_files_and_folders_that_pages_name_exist() -> None:
    files = [path for folder in _SOURCES for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {path.name for path in files}
    named = {
        (str(page.relative_to(ROOT)), path)
        for page in _PAGES
        for path in re.findall(r"`([\w./-]+\.py|(?:\w+/)*\w+/)`", page.read_text(encoding="utf-8"))
        if path.partition("/")[0] in {*_SOURCES, "run.py"} or "/" not in path
    }
    assert len(named) > 100
    assert [
        (page, path) for page, path in sorted(named) if not (ROOT / path).exists() and path not in names
    ] == []


def test_names_in_the_code_that_the_page_on_the_architecture_uses_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[A-Z][a-z]+)+|[a-z]+(?:_[a-z]+)+)`", page))
    source = "\n".join(
        path.read_text(encoding="utf-8") for folder in _SOURCES[:4] for path in (ROOT / folder).rglob("*.py")
    )
    assert len(named) > 15
    assert {name for name in named if not re.search(rf"\b{name}\b", source)} == set()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git lists the folders")
def test_the_map_of_the_project_is_current() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert page == project_map.renewed(page, project_map.contents()), "make docs renews it"


def test_a_map_lists_folders_in_the_order_of_a_tree_and_closed_ones_without_what_is_in_them() -> None:
    files = ["a-b/x.py", "run.py", "a/b/x.py", "a/y.py", "benchmarks/peers/saq/requirements.in"]
    assert project_map.folders(files) == ["a", "a/b", "a-b", "benchmarks", "benchmarks/peers"]


def test_a_folder_without_docstring_or_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(project_map.UndescribedFolderError, match="new: give the package a docstring"):
        project_map.description(tmp_path, "new")
    (tmp_path / "new" / "__init__.py").write_text('"""Something new.\n\nAnd more."""\n', encoding="utf-8")
    assert project_map.description(tmp_path, "new") == "Something new."


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        project_map.renewed("# A page", "")


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


def test_what_mutants_are_made_of_exists() -> None:
    targets = tomllib.loads((ROOT / "tests" / "mutants" / "targets.toml").read_text(encoding="utf-8"))
    assert targets
    for name, target in targets.items():
        for pattern in [*target["modules"], *target["tests"]]:
            assert list(ROOT.glob(pattern)), f"tests/mutants/targets.toml: {name} names {pattern}"


def test_mutants_that_may_live_are_of_the_code_that_there_is() -> None:
    listed = survivors(ROOT / "tests" / "mutants" / "survivors.toml")
    assert listed
    gone = [
        (survivor.function, line)
        for survivor in listed
        for line in survivor.removed.splitlines()
        if line.strip() not in _module_of(survivor.function)
    ]
    assert gone == []


def _module_of(function: str) -> str:
    parts = function.split(".")
    modules = [ROOT.joinpath(*parts[:end]).with_suffix(".py") for end in range(2, len(parts))]
    return next((path.read_text(encoding="utf-8") for path in modules if path.is_file()), "")


def test_no_two_files_of_tests_have_one_name() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert names.total() > 100
    assert [name for name, times in names.items() if times > 1] == []
