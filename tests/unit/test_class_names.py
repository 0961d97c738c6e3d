"""No two public classes of the program share a name: a reader of one need not ask which is meant."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "handlers", "rdchat", "statemachine")
#: The stand-ins speak the language of what they stand in for.
APART = ROOT / "rdchat" / "local"
#: Names of several classes, and why they are not told apart.
ALLOWED: Final[dict[str, str]] = {}


def classes_in(source: str) -> list[str]:
    tree = ast.parse(source)
    names = (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    # `Meta` is marshmallow's: a schema's own settings, within it.
    return [name for name in names if not name.startswith("_") and name != "Meta"]


def shared_names(modules: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for place, source in modules:
        for name in classes_in(source):
            places[name].append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_names_are_seen_to_be_shared() -> None:
    modules = [("one", "class Same:\n    class Meta: ...\nclass _Own: ..."), ("two", "class Same: ...")]
    modules.append(("three", "class _Own: ...\nclass Other:\n    class Meta: ..."))
    assert shared_names(modules) == {"Same": ["one", "two"]}


def test_a_name_means_one_class() -> None:
    modules = [
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if APART not in path.parents
    ]
    assert len(modules) > 100
    shared = shared_names(modules)
    assert {name: places for name, places in shared.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(shared), "what is allowed is there"


def test_what_tests_share_is_in_a_module_that_is_no_test() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if any(
            isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2].startswith("test_")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert found == []
