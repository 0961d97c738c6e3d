"""The diagram of a session's life, read off the table: Mermaid, DOT, JSON, and the page of the documentation.

Pictures are drawn by `rdchat/operations/drawing.py`, from the same `arrows`. The module is longer than most
because every text form of the one diagram stands here, so that a change to the table is followed in one
place.
"""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from transitions.extensions import GraphMachine

from statemachine.schedule import Leads, due_in_words
from statemachine.session import RUN_ORDER, AutomationKind
from statemachine.states import OPEN, TERMINAL, Status
from statemachine.table import TABLE, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Step = tuple[Status, str, Status]

INITIAL: Final = Status.PENDING
_TIMERS: Final = frozenset(kind.value for kind in AutomationKind)
_OTHERWISE: Final = "otherwise"


@dataclass(frozen=True, slots=True)
class Path:
    """A session's history: where it is, and each row it took as source, trigger, destination."""

    current: Status
    taken: tuple[tuple[Status, str, Status], ...]

    @property
    def visited(self) -> frozenset[Status]:
        """The states the session has been in, the current one included."""
        return frozenset({self.current, INITIAL, *(state for a, _, b in self.taken for state in (a, b))})


@dataclass(frozen=True, slots=True)
class Arrow:
    """All that one trigger does between two states. An empty condition means: always."""

    source: Status
    trigger: str
    destination: Status
    condition: str
    times_taken: int = 0

    @property
    def by_timer(self) -> bool:
        """Whether a timer pulls the trigger, and not a person."""
        return self.trigger in _TIMERS

    @property
    def label(self) -> str:
        """The trigger with its condition, as shown on the arrow."""
        return f"{self.trigger} [{self.condition}]" if self.condition else self.trigger


def arrows(path: Path | None = None) -> list[Arrow]:
    """List the arrows of the diagram in the table's order, counting how often a path took each.

    Rows that lead the same way under one trigger are one arrow: a history names the trigger and the two
    states, so it could not be drawn any finer.
    """
    taken: Counter[Step] = Counter(path.taken if path else ())
    conditions: dict[Step, list[str]] = {}
    for row, source in _each():
        key = (source, row.trigger, row.destination or source)
        conditions.setdefault(key, []).append(_condition(row, source))
    ways = Counter((source, trigger) for source, trigger, _ in conditions)

    def condition(key: Step, found: list[str]) -> str:
        # An unguarded row leaves nothing to ask, unless a guarded one above it led somewhere else.
        always = "" in found or (_OTHERWISE in found and ways[key[:2]] == 1)
        return "" if always else " or ".join(found)

    return [Arrow(*key, condition(key, found), taken[key]) for key, found in conditions.items()]


def _each() -> Iterator[tuple[Row, Status]]:
    return ((row, source) for row in TABLE for source in row.sources)


def _condition(row: Row, source: Status) -> str:
    if row.guards:
        return ", ".join(_words(guard.__name__) for guard in row.guards)
    tried = TABLE[: TABLE.index(row)]
    return _OTHERWISE if any(r.trigger == row.trigger and source in r.sources for r in tried) else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


# ---- Mermaid ----------------------------------------------------------------------------------------------


class _MermaidMachine(GraphMachine):
    """The drawing machine of `transitions`, in this project's colours."""

    style_attributes = {  # noqa: RUF012 - declared so by the base class
        "node": {
            "default": {"fillcolor": "#ffffff", "stroke": "#475569", "color": "#0f172a"},
            "previous": {"fillcolor": "#ffedd5", "stroke": "#c2410c", "color": "#0f172a"},
            "active": {
                "fillcolor": "#fdba74",
                "stroke": "#c2410c",
                "color": "#0f172a",
                "stroke-width": "3px",
                "font-weight": "bold",
            },
        },
    }


def mermaid(path: Path | None = None) -> str:
    """Draw as Mermaid. It cannot colour an arrow: the ones that were taken carry a tick and a count."""
    machine = _MermaidMachine(
        model=None,
        states=[status.value for status in Status],
        initial=INITIAL.value,
        auto_transitions=False,
        graph_engine="mermaid",
    )
    for arrow in arrows(path):
        machine.add_transition(
            arrow.trigger, arrow.source.value, arrow.destination.value, label=_ticked(arrow)
        )
    graph = machine.graph_cls(machine)
    if path is not None:
        for status in path.visited:
            graph.set_node_style(status.value, "previous")
        graph.set_node_style(path.current.value, "active")
    # The engine sets the title bare between the front matter's rules, where Mermaid wants a key; it joins
    # what goes the same way with bars, where one line each reads better.
    source = cast("str", graph.get_graph(title="title: The life of a chat session").draw(None))
    lines = [line.rstrip().replace(" | ", "<br/>") for line in source.splitlines()]
    lines += [f"  {status} --> [*]" for status in Status if status in TERMINAL]
    return "\n".join(lines) + "\n"


def _ticked(arrow: Arrow) -> str:
    match arrow.times_taken:
        case 0:
            return arrow.label
        case 1:
            return f"✓ {arrow.label}"
        case times:
            return f"✓ {arrow.label} ×{times}"  # noqa: RUF001 - a multiplication sign is meant


# ---- DOT --------------------------------------------------------------------------------------------------


def dot(path: Path | None = None) -> str:
    """Draw as DOT, for Graphviz and everything that reads it."""
    lines = [
        "digraph session {",
        '  graph [rankdir=LR, nodesep=0.6, ranksep=1.1, fontname="Helvetica", bgcolor="white"];',
        '  node [shape=box, style="rounded,filled", fillcolor="white", color="#475569"];',
        '  node [fontname="Helvetica"];',
        '  edge [color="#64748b", fontcolor="#334155", fontname="Helvetica", fontsize=11];',
        '  start [shape=point, width=0.14, fillcolor="#0f172a"];',
        f"  start -> {INITIAL};",
    ]
    lines += [f"  {status} [{_node(status, path)}];" for status in Status]
    between: dict[tuple[Status, Status], list[Arrow]] = {}
    for arrow in arrows(path):
        between.setdefault((arrow.source, arrow.destination), []).append(arrow)
    for (source, destination), parallel in between.items():
        label = r"\n".join(_ticked(arrow) for arrow in parallel)
        taken = any(arrow.times_taken for arrow in parallel)
        style = ', color="#ea580c", fontcolor="#9a3412", penwidth=2.5' if taken else ""
        lines.append(f'  {source} -> {destination} [label="{label}"{style}];')
    return "\n".join([*lines, "}", ""])


def _node(status: Status, path: Path | None) -> str:
    attributes = [f'label="{status}"']
    if status in TERMINAL:
        attributes.append("peripheries=2")
    if path is not None and status is path.current:
        attributes.append('fillcolor="#fdba74", color="#c2410c", penwidth=3')
    elif path is not None and status in path.visited:
        attributes.append('fillcolor="#ffedd5", color="#c2410c"')
    return ", ".join(attributes)


# ---- JSON -------------------------------------------------------------------------------------------------


def as_json(path: Path | None = None) -> dict[str, Any]:
    """Return states, rows and arrows as plain values. A destination of None means: stays where it is."""
    visited = path.visited if path else frozenset()
    return {
        "initial": INITIAL.value,
        "states": [
            {
                "name": status.value,
                "open": status in OPEN,
                "terminal": status in TERMINAL,
                "current": path is not None and status is path.current,
                "visited": status in visited,
            }
            for status in Status
        ],
        "rows": [
            {
                "trigger": row.trigger,
                "byTimer": row.trigger in _TIMERS,
                "sources": [source.value for source in row.sources],
                "destination": row.destination.value if row.destination else None,
                "guards": _described(row.guards),
                "actions": _described(row.actions),
            }
            for row in TABLE
        ],
        "arrows": [
            {
                "source": arrow.source.value,
                "trigger": arrow.trigger,
                "destination": arrow.destination.value,
                "condition": arrow.condition or None,
                "timesTaken": arrow.times_taken,
            }
            for arrow in arrows(path)
        ],
        "path": [
            {"source": source.value, "trigger": trigger, "destination": destination.value}
            for source, trigger, destination in (path.taken if path else ())
        ],
    }


def _described(functions: Iterable[Callable[..., Any]]) -> list[dict[str, str]]:
    return [{"name": function.__name__, "description": _first_line(function)} for function in functions]


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _condition_of(guard: Callable[..., Any]) -> str:
    text = _first_line(guard).removeprefix("Return whether ")
    return text[:1].upper() + text[1:]


# ---- the page of the documentation ------------------------------------------------------------------------

_PAGE: Final = """\
# The life of a chat session

A session waits (`pending`), opens at its start (`active`), warns of its end (`ending_soon`) and closes
(`completed`); until it is completed it can be cancelled (`cancelled`). The chat can be written in exactly
while the session is `active` or `ending_soon`, and nothing leads out of `completed` and `cancelled`. Why a
session ended, and by whom, is a fact beside the state (`endReason`), not a state of its own.

```mermaid
{mermaid}```

Words in brackets are conditions. *Otherwise* means that a row above it, of the same trigger, did not apply.

## Every row

Rows of one trigger are tried from top to bottom; the first whose conditions all hold is taken. What no row
names is refused, and a refusal changes nothing.

{rows}

## Automations

Only a timer opens a chat. Each session has its automations; they are planned when it is booked, and again
when it is rescheduled. A timer of an older plan changes nothing.

{automations}

## When a timer comes late

A timer can fire late: the service was down, or a store was away. What is then still worth doing is done, and
what is not is recorded as skipped, with its reason.

- **`initial_message`** announces the start. Once the start itself is due it announces nothing, and is
  skipped (`start_was_due`).
- **`enable_chat`** opens the chat however late it is, as long as at least the end warning's lead is left
  before the end. With less than that the session was missed: it is cancelled with reason `missed`, and both
  are notified. It is cancelled as well, with reason `over_limit`, when its client or its psychologist already
  has as many other sessions at that time as allowed: this happens only if the limits were lowered after the
  booking.
- **`end_warning`** is skipped with less than a fifth of its lead left (`too_late_to_warn`), or when no chat
  was opened to warn in (`never_opened`).
- **`auto_end`** always runs. A session that is still `pending` at its end was missed.

A message that arrives at the end instant or later is refused, even while the end itself runs late.

---

*Generated from `statemachine/table.py` by `make docs`: change the table, not this page.*
"""


def markdown() -> str:
    """Write the whole page on the state machine."""
    return _PAGE.format(mermaid=mermaid(), rows=_rows(), automations=_automations())


def _rows() -> str:
    lines = [_cells("trigger", "from", "to", "when", "does"), _cells(*["---"] * 5)]
    for row in TABLE:
        when = [f"**{_words(guard.__name__)}**: {_condition_of(guard)}" for guard in row.guards]
        if not when:
            conditions = {_condition(row, source) for source in row.sources}
            when = [_OTHERWISE if _OTHERWISE in conditions else "always"]
        lines.append(
            _cells(
                f"`{row.trigger}`",
                "<br>".join(f"`{source}`" for source in row.sources),
                f"`{row.destination}`" if row.destination else "*stays*",
                "<br>".join(when),
                "<br>".join(_first_line(action) for action in row.actions),
            )
        )
    return "\n".join(lines)


def _automations() -> str:
    due = due_in_words(Leads())
    lines = [_cells("automation", "due (with the leads that are set by default)"), _cells("---", "---")]
    return "\n".join(lines + [_cells(f"`{kind}`", due[kind]) for kind in RUN_ORDER])


def _cells(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"
