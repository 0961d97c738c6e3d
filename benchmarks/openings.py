"""Sessions that start while something else is measured, and how late each was said to be open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.crowd import plant
from rdchat.common.clock import SystemClock, to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.crowd import Connection


async def plant_openings(
    connection: Connection, *, first: timedelta, lasts: timedelta, a_second: int
) -> dict[str, int]:
    """Plan sessions that start from `first` on, for so long. Return when each does, in ms since 1970."""
    now = SystemClock().now()
    await plant(
        connection,
        sessions=int(a_second * lasts.total_seconds()),
        first=now + first,
        spread=lasts,
        length=timedelta(hours=1),
        initial_message_lead=timedelta(seconds=2),
        end_warning_lead=timedelta(minutes=5),
        at=now,
    )
    rows = await connection.fetch("SELECT id, starts_at FROM chat_sessions WHERE starts_at > $1", now)
    return {str(row["id"]): int(to_ms(row["starts_at"])) for row in rows}


def lateness(
    published: Iterable[tuple[str, Any]], starts: Mapping[str, int], begin: float, end: float
) -> tuple[list[int], int]:
    """Look how late the sessions were said to be open that started between two instants (ms since 1970).

    `published` are channels with what was published on them. Return ascending ms, and how many never were.
    """
    opened: dict[str, int] = {}
    for channel, message in published:
        if message.get("name") == "session-status" and '"chat_enabled"' in str(message.get("data")):
            opened.setdefault(channel.rpartition(":")[2], message["timestamp"])
    due = {one: at for one, at in starts.items() if begin <= at <= end}
    late = sorted(opened[one] - at for one, at in due.items() if one in opened)
    return late, len(due) - len(late)
