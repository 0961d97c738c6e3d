"""What is shown when the session is over: transcript, timeline, the way through the states, the verdict."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich import box
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rdchat.local.demo.appointment import HOME_NAME, clock_time, precise_time
from rdchat.local.demo.evidence import path
from rdchat.local.demo.picture import picture
from rdchat.local.demo.sightings import deliveries, delivery_ms, sightings
from statemachine import Status

if TYPE_CHECKING:
    from rich.console import Console

    from rdchat.local.demo.checks import Check
    from rdchat.local.demo.evidence import Evidence

#: Narrower than this, the timeline leaves out what can be computed, and the states are shown as a line.
_WIDE: Final = 98
_SHOWN_DIFFERENCES: Final = 8


def show(console: Console, seen: Evidence, checks: list[Check]) -> None:
    """Show everything."""
    with console.capture() as captured:
        _transcript(console, seen)
        _timeline(console, seen)
        _states(console, seen)
        _verdict(console, checks)
    # Tables are filled up with blanks, which would only be in the way in a log.
    lines = captured.get().splitlines()
    console.file.write("\n".join(line if console.is_terminal else line.rstrip() for line in lines) + "\n")
    console.file.flush()


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Rule(Text(text, style="bold"), align="left", style="cyan"))


def _transcript(console: Console, seen: Evidence) -> None:
    _title(console, "Transcript")
    table = Table(box=None, padding=(0, 1), header_style="dim", show_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column(HOME_NAME, style="dim", no_wrap=True)
    table.add_column("who", no_wrap=True)
    table.add_column("", no_wrap=True, style="magenta")
    table.add_column("what", ratio=1)
    table.add_column("reached", justify="right", style="dim", no_wrap=True)
    for message in seen.client.history:
        automated = message["isAutomated"]
        delays = [delivery_ms(witness, message["id"]) for witness in seen.witnesses]
        table.add_row(
            str(message["seq"]),
            clock_time(datetime.fromisoformat(message["createdAt"])),
            Text(message["sender"]["fullName"], style=_colour(message["senderId"], seen)),
            "auto" if automated else "",
            Text(message["message"], style="italic" if automated else ""),
            " ".join("never" if delay is None else f"{delay:>3}" for delay in delays) + " ms",
        )
    console.print(table)
    found = deliveries(seen)
    if found:
        who = " and ".join(witness.name for witness in seen.witnesses)
        text = f"reached: from the commit to the SDK of {who}; median {found[0]:.0f} ms, worst {found[1]} ms"
        console.print(Text(f"  {text}", style="dim"))


def _colour(person_id: str, seen: Evidence) -> str:
    return "green" if person_id == seen.client.person_id else "blue"


def _timeline(console: Console, seen: Evidence) -> None:
    _title(console, "Timeline")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), header_style="bold", show_edge=False)
    table.add_column("automation", no_wrap=True, style="magenta")
    table.add_column("planned", no_wrap=True)
    wide = console.width >= _WIDE
    if wide:
        table.add_column("done", no_wrap=True)
    table.add_column("late", justify="right", no_wrap=True)
    for witness in seen.witnesses:
        table.add_column(f"{witness.name} heard", no_wrap=True)
    for one in sightings(seen):
        table.add_row(
            one.kind,
            precise_time(one.planned) if wide else clock_time(one.planned),
            *([_instant(one.done)] if wide else []),
            f"{one.lateness_ms} ms" if one.lateness_ms is not None else "",
            *(_callback(at, one.delay_ms(name)) for name, at in one.seen.items()),
        )
    console.print(table)
    console.print(Text("  +ms: from the planned instant to the SDK's callback", style="dim"))


def _callback(at: datetime | None, delay: int | None) -> Text:
    return Text.assemble(_instant(at), (f" +{delay}" if at else "", "cyan"))


def _instant(at: datetime | None) -> Text:
    return Text(precise_time(at)) if at else Text("never", style="bold red")


def _states(console: Console, seen: Evidence) -> None:
    _title(console, "States")
    if console.width < _WIDE:
        console.print(Text(f"  {' → '.join(path(seen.timeline, Status.PENDING))}"))
        return
    steps = {
        (entry["from"], entry["to"]): (entry["trigger"], clock_time(datetime.fromisoformat(entry["at"])))
        for entry in seen.timeline
        if entry["from"] != entry["to"]
    }
    for row in picture(steps, seen.session["status"]):
        drawn = Text(f"  {row}")
        drawn.highlight_regex("[━┏┓┗┛┃▶┯┳]+", "cyan")
        console.print(drawn)
    console.print(Text("  heavy: the way that this session took", style="dim"))


def _verdict(console: Console, checks: list[Check]) -> None:
    _title(console, "Verdict")
    for check in checks:
        mark = ("✓ ", "bold green") if check.holds else ("✗ ", "bold red")
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_row(Text.assemble("  ", mark), Text(check.title, style="" if check.holds else "bold"))
        console.print(row)
        if not check.holds:
            _differences(console, check.difference())
    failed = sum(not check.holds for check in checks)
    console.print()
    if failed:
        console.print(Text(f"  {failed} of {len(checks)} checks failed.", style="bold red"))
    else:
        console.print(Text(f"  All {len(checks)} checks hold.", style="bold green"))


def _differences(console: Console, differences: list[str]) -> None:
    for words in differences[:_SHOWN_DIFFERENCES]:
        console.print(Padding(Text(words, style="red"), (0, 0, 0, 6)))
    if len(differences) > _SHOWN_DIFFERENCES:
        console.print(Text(f"      … and {len(differences) - _SHOWN_DIFFERENCES} more", style="red"))
