"""Writing down what was played: transcript.txt, timeline.json, diagram.svg."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from rdchat.common.clock import iso
from rdchat.local.demo.appointment import HOME, HOME_NAME, clock_time
from rdchat.local.demo.sightings import delivery_ms, sightings

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.local.demo.checks import Check
    from rdchat.local.demo.evidence import Evidence


def prepare(directory: Path) -> None:
    """Make the directory, before anything is played. Raise OSError."""
    directory.mkdir(parents=True, exist_ok=True)


def keep_in(directory: Path, seen: Evidence, checks: list[Check], svg: str) -> list[Path]:
    """Write the files into a prepared directory and return their paths. Raise OSError."""
    timeline = orjson.dumps(_timeline(seen, checks), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    contents = {
        "transcript.txt": _transcript(seen).encode(),
        "timeline.json": timeline,
        "diagram.svg": svg.encode(),
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in contents]


def _transcript(seen: Evidence) -> str:
    starts_at = datetime.fromisoformat(seen.session["scheduledAt"]).astimezone(HOME)
    lines = [
        f"Chat session {seen.session['id']}",
        f"{seen.client.name} with {seen.psychologist.name}, {starts_at:%Y-%m-%d}, times in {HOME_NAME}",
        "",
    ]
    for one in seen.client.history:
        at = clock_time(datetime.fromisoformat(one["createdAt"]))
        automated = " (automated)" if one["isAutomated"] else ""
        lines.append(f"{at}  {one['sender']['fullName']}{automated}: {one['message']}")
    return "\n".join(lines) + "\n"


def _timeline(seen: Evidence, checks: list[Check]) -> dict[str, Any]:
    return {
        "session": seen.session,
        "transitions": seen.timeline,
        "automations": [
            {
                "kind": one.kind,
                "plannedAt": iso(one.planned),
                "doneAt": iso(one.done) if one.done else None,
                "latenessMs": one.lateness_ms,
                "heard": {
                    name: {"at": iso(at), "afterPlannedMs": one.delay_ms(name)} if at else None
                    for name, at in one.seen.items()
                },
            }
            for one in sightings(seen)
        ],
        "deliveries": [
            {
                "seq": message["seq"],
                "createdAt": message["createdAt"],
                "afterMs": {witness.name: delivery_ms(witness, message["id"]) for witness in seen.witnesses},
            }
            for message in seen.client.history
        ],
        "checks": [
            {"title": check.title, "holds": check.holds, "differences": check.difference()}
            for check in checks
        ],
    }
