"""The diagram in all its forms: it says what the table says, and where a session is and how it got there."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path as FilePath
from xml.etree import ElementTree as ET

import pytest
import resvg_py

from rdchat.operations import drawing
from statemachine import TERMINAL, AutomationKind, Status
from statemachine.diagram import Path, arrows, as_json, dot, markdown, mermaid
from statemachine.step import MACHINE
from statemachine.table import TABLE

PENDING, ACTIVE, ENDING_SOON, COMPLETED, CANCELLED = Status
PAGE = FilePath(__file__).parents[2] / "docs" / "state-machine.md"

TALKED = Path(
    current=ENDING_SOON,
    taken=(
        (PENDING, "initial_message", PENDING),
        (PENDING, "enable_chat", ACTIVE),
        (ACTIVE, "send_message", ACTIVE),
        (ACTIVE, "send_message", ACTIVE),
        (ACTIVE, "send_message", ACTIVE),
        (ACTIVE, "end_warning", ENDING_SOON),
    ),
)
BOOKED = Path(current=PENDING, taken=())


def json_text(path: Path | None = None) -> str:
    return json.dumps(as_json(path))


TEXTS = [mermaid, dot, json_text, drawing.svg]
textual = pytest.mark.parametrize("draw", TEXTS, ids=["mermaid", "dot", "json", "svg"])
Draw = Callable[..., str]


def svg_texts(path: Path | None = None) -> list[str]:
    root = ET.fromstring(drawing.svg(path))  # noqa: S314 - the text is our own
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


# ---- every format -----------------------------------------------------------------------------------------


@textual
def test_every_state_and_trigger_is_there(draw: Draw) -> None:
    text = draw()
    for status in Status:
        assert status.value in text
    for row in TABLE:
        assert row.trigger in text


@textual
def test_every_condition_is_readable(draw: Draw) -> None:
    text = draw()
    for words in ("time to talk", "worth warning", "before end", "participant", "otherwise"):
        assert words in text


@textual
def test_a_path_stands_out_and_a_booked_session_too(draw: Draw) -> None:
    assert len({draw(), draw(TALKED), draw(BOOKED), draw(Path(COMPLETED, TALKED.taken))}) == 4


@textual
def test_a_step_of_a_table_that_is_no_more_is_passed_over(draw: Draw) -> None:
    assert draw(Path(PENDING, ((PENDING, "levitate", PENDING),)))


def test_drawing_registers_nothing_with_the_machine() -> None:
    mermaid(TALKED)
    assert MACHINE.models == []


# ---- arrows -----------------------------------------------------------------------------------------------


def test_the_arrows_are_those_of_the_table() -> None:
    drawn = {(arrow.source, arrow.trigger, arrow.destination) for arrow in arrows()}
    assert drawn == {
        (source, row.trigger, row.destination or source) for row in TABLE for source in row.sources
    }
    assert not {arrow.source for arrow in arrows()} & TERMINAL


def test_rows_that_lead_the_same_way_whatever_holds_need_no_condition() -> None:
    conditions = {(arrow.source, arrow.trigger, arrow.destination): arrow.condition for arrow in arrows()}
    assert conditions[PENDING, "initial_message", PENDING] == ""
    assert conditions[PENDING, "enable_chat", ACTIVE] == "time to talk"
    assert conditions[PENDING, "enable_chat", CANCELLED] == "over limit or otherwise"
    assert conditions[PENDING, "auto_end", CANCELLED] == ""


def test_arrows_count_how_often_they_were_taken() -> None:
    taken = {(a.trigger, a.source): a.times_taken for a in arrows(TALKED) if a.times_taken}
    assert taken == {
        ("initial_message", PENDING): 1,
        ("enable_chat", PENDING): 1,
        ("send_message", ACTIVE): 3,
        ("end_warning", ACTIVE): 1,
    }


def test_a_path_visits_its_states_and_the_first() -> None:
    assert TALKED.visited == {PENDING, ACTIVE, ENDING_SOON}
    assert BOOKED.visited == {PENDING}


# ---- Mermaid and DOT --------------------------------------------------------------------------------------


def test_mermaid_begins_where_sessions_begin_and_ends_where_they_end() -> None:
    lines = mermaid().splitlines()
    assert lines[:4] == ["---", "title: The life of a chat session", "---", "stateDiagram-v2"]
    assert "  [*] --> pending" in lines
    assert {line.split()[0] for line in lines if line.endswith("--> [*]")} == {"completed", "cancelled"}


def test_mermaid_highlights() -> None:
    drawn = mermaid(TALKED)
    assert "Class ending_soon s_active" in drawn
    assert "Class pending s_previous" in drawn
    assert "Class active s_previous" in drawn
    assert "Class completed s_default" in drawn
    assert "✓ enable_chat [time to talk]" in drawn
    assert "✓ send_message [participant, before end] ×3" in drawn  # noqa: RUF001 - a multiplication sign
    assert "×1" not in drawn  # noqa: RUF001 - a multiplication sign
    assert "✓" not in mermaid()
    assert "s_active\n" not in mermaid()


def test_dot_highlights() -> None:
    lines = {line.split(" [")[0].strip(): line for line in dot(TALKED).splitlines() if " [" in line}
    assert "penwidth=3" in lines["ending_soon"]
    assert "#ffedd5" in lines["active"]
    assert "fillcolor" not in lines["completed"]
    assert "penwidth" in lines["pending -> active"]
    assert "penwidth" not in lines["active -> completed"]
    assert "✓" not in dot()
    assert dot().count("{") == dot().count("}") == 1
    assert all("peripheries=2" in lines[status] for status in TERMINAL)


def test_dot_says_how_each_part_looks() -> None:
    lines = dot(TALKED).split("\n")
    assert lines[:7] == [
        "digraph session {",
        '  graph [rankdir=LR, nodesep=0.6, ranksep=1.1, fontname="Helvetica", bgcolor="white"];',
        '  node [shape=box, style="rounded,filled", fillcolor="white", color="#475569"];',
        '  node [fontname="Helvetica"];',
        '  edge [color="#64748b", fontcolor="#334155", fontname="Helvetica", fontsize=11];',
        '  start [shape=point, width=0.14, fillcolor="#0f172a"];',
        "  start -> pending;",
    ]
    assert lines[7:12] == [
        '  pending [label="pending", fillcolor="#ffedd5", color="#c2410c"];',
        '  active [label="active", fillcolor="#ffedd5", color="#c2410c"];',
        '  ending_soon [label="ending_soon", fillcolor="#fdba74", color="#c2410c", penwidth=3];',
        '  completed [label="completed", peripheries=2];',
        '  cancelled [label="cancelled", peripheries=2];',
    ]
    assert (
        '  pending -> active [label="✓ enable_chat [time to talk]", color="#ea580c", fontcolor="#9a3412", '
        "penwidth=2.5];"
    ) in lines
    both = next(line for line in lines if line.startswith("  active -> completed"))
    assert both == r'  active -> completed [label="auto_end\nend [participant]"];'
    assert lines[-2:] == ["}", ""]


# ---- JSON -------------------------------------------------------------------------------------------------


def test_json_has_states_and_rows() -> None:
    drawn = as_json()
    assert [state["name"] for state in drawn["states"]] == [status.value for status in Status]
    assert {state["name"] for state in drawn["states"] if state["terminal"]} == TERMINAL
    assert len(drawn["rows"]) == len(TABLE)
    for row, given in zip(drawn["rows"], TABLE, strict=True):
        assert row["trigger"] == given.trigger
        assert row["sources"] == list(given.sources)
        assert row["destination"] == given.destination
        assert [guard["name"] for guard in row["guards"]] == [guard.__name__ for guard in given.guards]
        assert [action["name"] for action in row["actions"]] == [action.__name__ for action in given.actions]
        assert all(part["description"] for part in row["guards"] + row["actions"])
    assert drawn["path"] == []
    assert not any(state["current"] or state["visited"] for state in drawn["states"])


def test_json_highlights() -> None:
    drawn = as_json(TALKED)
    assert [state["name"] for state in drawn["states"] if state["current"]] == ["ending_soon"]
    assert [state["name"] for state in drawn["states"] if state["visited"]] == [
        "pending",
        "active",
        "ending_soon",
    ]
    assert sum(arrow["timesTaken"] for arrow in drawn["arrows"]) == len(TALKED.taken) == len(drawn["path"])
    assert drawn["path"][1] == {"source": "pending", "trigger": "enable_chat", "destination": "active"}


def test_json_has_exactly_what_is_documented() -> None:
    drawn = as_json(TALKED)
    assert drawn["initial"] == "pending"
    assert [state for state in drawn["states"] if state["open"]] == [
        {"name": "active", "open": True, "terminal": False, "current": False, "visited": True},
        {"name": "ending_soon", "open": True, "terminal": False, "current": True, "visited": True},
    ]
    timers = {row["trigger"]: row["byTimer"] for row in drawn["rows"]}
    assert {trigger for trigger, by_timer in timers.items() if by_timer} == set(AutomationKind)
    assert {"send_message", "end", "cancel"} <= timers.keys()
    assert {
        "source": "pending",
        "trigger": "enable_chat",
        "destination": "active",
        "condition": "time to talk",
        "timesTaken": 1,
    } in drawn["arrows"]
    assert (
        next(arrow for arrow in drawn["arrows"] if arrow["trigger"] == "initial_message")["condition"] is None
    )


def test_what_a_guard_or_action_does_is_its_first_line() -> None:
    for row, given in zip(as_json()["rows"], TABLE, strict=True):
        described = [part["description"] for part in row["guards"] + row["actions"]]
        assert described == [
            (function.__doc__ or "").splitlines()[0] for function in (*given.guards, *given.actions)
        ]


# ---- pictures ---------------------------------------------------------------------------------------------


def test_every_arrow_has_a_route() -> None:
    for arrow in arrows():
        assert drawing.route(arrow.source, arrow.destination).line.startswith("M")


def test_svg_is_well_formed_and_its_text_is_text() -> None:
    texts = svg_texts()
    assert "The life of a chat session" in texts
    assert "enable_chat [over limit or otherwise]" in texts
    assert all(status.value in texts for status in Status)


def test_svg_highlights() -> None:
    texts = svg_texts(TALKED)
    assert "This session is ending_soon. The way it went is drawn in orange." in texts
    assert "✓ send_message ×3 [participant, before end]" in texts  # noqa: RUF001 - a multiplication sign
    assert "✓ enable_chat" in texts
    assert "where the session is now" in texts
    assert not any("✓" in text for text in svg_texts())
    assert drawing.svg(TALKED).count("url(#rdchat-way)") == 5  # four lines that were taken, and the first
    assert "url(#rdchat-way)" not in drawing.svg()


@pytest.mark.parametrize("path", [None, TALKED], ids=["plain", "path"])
def test_png(path: Path | None) -> None:
    picture = drawing.png(path)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (2 * drawing.WIDTH, 2 * drawing.HEIGHT)


def test_png_is_set_in_the_font_that_ships() -> None:
    wordless = resvg_py.svg_to_bytes(svg_string=drawing.svg(), zoom=2, skip_system_fonts=True)
    assert len(drawing.png()) > 2 * len(wordless)


def test_a_path_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(TALKED)) == TALKED  # noqa: S301 - just written


# ---- the page ---------------------------------------------------------------------------------------------


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run `make docs`"


def test_the_page_has_every_row_and_says_where_it_comes_from() -> None:
    page = markdown()
    assert sum(page.count(f"\n| `{trigger}` |") for trigger in {row.trigger for row in TABLE}) >= len(TABLE)
    assert f"```mermaid\n{mermaid()}```\n" in page
    assert "`make docs`" in page.splitlines()[-1]
