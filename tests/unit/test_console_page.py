"""The console at /app: its words are there in both languages, and the diagram knows the machine that runs."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Final

import pytest

from handlers.pages.static_files import WEB
from rdchat.domain.operator_action import ActionKind
from statemachine import AutomationKind, AutomationStatus, EndReason, Status, diagram
from statemachine.states import SessionOutcome
from statemachine.table import TABLE
from tests.support.node import find_node

CONSOLE: Final = WEB / "app" / "console"
DIAGRAM: Final = WEB / "app" / "diagram"
WORD: Final = re.compile(r'^    ("[\w.]+"): (".*"),$', re.MULTILINE)
USED: Final = re.compile(r'\bt\((?:\w+ \? )?"([\w.]+)"(?: : "([\w.]+)")?')
#: Modules without imports, given as text: Node need not know what kind of module a file is.
_LOAD: Final = """
const [source, work] = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
import("data:text/javascript," + encodeURIComponent(source)).then((module) =>
  console.log(JSON.stringify(new Function("module", "return " + work)(module))));
"""


def in_node(name: str, work: str) -> Any:
    """Return what an expression on a module of the diagram gives, through JSON."""
    ran = subprocess.run(
        [str(find_node()), "-e", _LOAD],
        input=json.dumps([(DIAGRAM / name).read_text(encoding="utf-8"), work]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"id": {}, "en": {}}
    for path in (*CONSOLE.glob("*texts.js"), WEB / "app" / "texts.js"):
        own, english = path.read_text(encoding="utf-8").rsplit("\n  en: {", 1)
        for language, text in (("id", own), ("en", english)):
            found[language] |= {json.loads(key): json.loads(said) for key, said in WORD.findall(text)}
    return found


def entry(trigger: str, source: str, to: str, at: int, **more: Any) -> dict[str, Any]:
    instant = f"2030-01-15T07:00:{at:02}.000Z"
    return {"trigger": trigger, "from": source, "to": to, "at": instant, "outcome": None, **more}


def frames(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    machine = json.dumps(diagram.as_json())
    shown: list[dict[str, Any]] = in_node(
        "replay.js", f"module.framesOf({machine}, {json.dumps(list(entries))})"
    )
    return shown


def test_each_word_is_there_in_both_languages_with_the_same_values() -> None:
    said = words()
    assert said["id"].keys() == said["en"].keys()

    def values(text: str) -> set[str]:
        return set(re.findall(r"{\w+}", text))

    assert {key for key, text in said["id"].items() if values(text) != values(said["en"][key])} == set()


def test_each_word_that_is_used_is_there() -> None:
    said = words()["en"]
    used = {
        key
        for path in CONSOLE.glob("*.js")
        for found in USED.findall(path.read_text(encoding="utf-8"))
        for key in found
        if key
    }
    assert len(used) > 100
    assert used - said.keys() == set()


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("status", Status),
        ("trigger", {*(row.trigger for row in TABLE), *AutomationKind, "book", "reminder"}),
        ("automation", AutomationStatus),
        ("action", ActionKind),
        ("outcome", SessionOutcome),
        ("reason", {*EndReason, "start_was_due", "too_late_to_warn", "never_opened"}),
    ],
)
def test_what_the_machine_knows_has_a_word(group: str, names: Any) -> None:
    assert {f"{group}.{name}" for name in names} <= words()["en"].keys()


@pytest.mark.parametrize("layout", ["WIDE", "TALL"])
def test_each_state_has_a_place_and_each_arrow_a_route(layout: str) -> None:
    drawn = in_node("layouts.js", f"module.{layout}")
    assert drawn["boxes"].keys() == drawn["loops"].keys() == set(Status)
    between = {f"{one.source}>{one.destination}" for one in diagram.arrows() if one.source != one.destination}
    assert drawn["routes"].keys() == between
    for box in drawn["boxes"].values():
        assert drawn["left"] <= box["x"] - box["width"] / 2
        assert box["x"] + box["width"] / 2 <= drawn["left"] + drawn["width"]
        assert drawn["top"] <= box["y"] - box["height"] / 2
        assert box["y"] + box["height"] / 2 <= drawn["top"] + drawn["height"]


def test_a_replay_goes_from_the_booking_to_the_end() -> None:
    life = frames(
        entry("book", "pending", "pending", 0),
        entry("initial_message", "pending", "pending", 1, outcome="done"),
        entry("enable_chat", "pending", "active", 2, outcome="done"),
        entry("extend", "active", "active", 3),
        entry("end", "active", "completed", 4),
        entry("end_warning", "completed", "completed", 4, outcome="cancelled"),
        entry("auto_end", "completed", "completed", 4, outcome="cancelled"),
    )
    assert [(one["state"], one["count"], len(one["steps"])) for one in life] == [
        ("pending", 1, 0),
        ("pending", 2, 1),
        ("active", 3, 2),
        ("active", 4, 3),
        ("completed", 7, 4),
    ]
    assert [step["trigger"] for one in life for step in one["latest"]] == [
        "initial_message",
        "enable_chat",
        "extend",
        "end",
    ]


def test_what_was_called_off_is_no_step() -> None:
    moved = frames(
        entry("book", "pending", "pending", 0),
        entry("end_warning", "pending", "pending", 1, outcome="cancelled"),
        entry("end_warning", "pending", "pending", 2, outcome="skipped"),
    )
    assert [[step["trigger"] for step in one["latest"]] for one in moved] == [[], [], ["end_warning"]]


def test_steps_are_counted() -> None:
    step = {"source": "active", "trigger": "extend", "destination": "active"}
    assert in_node("replay.js", f"[...module.countSteps({json.dumps([step, step])})]") == [
        ["active extend active", 2]
    ]


def test_nothing_happened_yet() -> None:
    assert frames() == []
