"""What is left of a storm: the rows in PostgreSQL, what the endpoint delivered, what a subscriber heard."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rdchat.common.clock import SystemClock
from statemachine import AutomationKind, AutomationStatus, EndReason, Status
from tests.support.keys import read_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from tests.chaos.storm.stage import Stage

_SESSIONS = "SELECT * FROM chat_sessions ORDER BY starts_at, id"
_AUTOMATIONS = "SELECT * FROM automations ORDER BY due_at, session_id, kind"
_MESSAGES = "SELECT session_id, seq, id, body FROM messages ORDER BY session_id, seq"
# What was called off when a session was over has a line as well, but did not run.
_TIMELINE = """
SELECT session_id, version, trigger FROM timeline
 WHERE version > 0 AND from_status NOT IN ('completed', 'cancelled')
 ORDER BY session_id, version, position
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """One automation as PostgreSQL has it. `lateness_ms` is None for one that was never run."""

    kind: AutomationKind
    status: AutomationStatus
    reason: str | None
    due_at: datetime
    executed_at: datetime | None
    lateness_ms: int | None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One stored message, opened."""

    id: str
    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Life:
    """One session as PostgreSQL has it. `triggers`: its timeline after the booking, as (version, trigger)."""

    id: UUID
    client_id: UUID
    psychologist_id: UUID
    status: Status
    end_reason: EndReason | None
    version: int
    last_seq: int
    language: str
    starts_at: datetime
    ends_at: datetime
    automations: Mapping[AutomationKind, Settled]
    messages: Sequence[Said]
    triggers: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as the endpoint delivered it, at `at_ms` (ms since 1970)."""

    channel: str
    ably_id: str
    name: str
    data: Mapping[str, Any]
    at_ms: int

    @property
    def session_id(self) -> UUID:
        """The session that it is about, on whichever channel."""
        about = self.data["data"] if self.name == "notification" else self.data
        return UUID(about["sessionId"])


@dataclass(frozen=True, slots=True)
class Record:
    """Everything, read at `read_at`.

    `booked`: how many sessions the harness wrote; `heard`: by session, the Ably ids that reached the
    subscriber, for the sessions that it attended; `queued`: how many jobs the delay queue holds.
    """

    read_at: datetime
    booked: int
    lives: Sequence[Life]
    deliveries: Sequence[Delivery]
    heard: Mapping[UUID, Sequence[str]] = field(default_factory=dict)
    queued: int = 0


async def read_record(stage: Stage, *, booked: int, heard: Mapping[UUID, Sequence[str]]) -> Record:
    """Read everything."""
    now = SystemClock().now()
    held = await stage.queue.held()
    async with stage.pool.acquire() as connection:
        automations = _grouped(await connection.fetch(_AUTOMATIONS))
        messages = _grouped(await connection.fetch(_MESSAGES))
        timeline = _grouped(await connection.fetch(_TIMELINE))
        sessions = await connection.fetch(_SESSIONS)
        texts = await read_texts(connection)
    lives = [
        _life(row, automations[row["id"]], messages[row["id"]], timeline[row["id"]], texts)
        for row in sessions
    ]
    deliveries = [
        Delivery(channel, message["id"], message["name"], _data(message["data"]), message["timestamp"])
        for channel, message in stage.ably.published
    ]
    return Record(now, booked, lives, deliveries, heard, held.total)


def _grouped(rows: Sequence[asyncpg.Record]) -> defaultdict[UUID, list[asyncpg.Record]]:
    groups: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        groups[row["session_id"]].append(row)
    return groups


def _life(
    row: asyncpg.Record,
    automations: Sequence[asyncpg.Record],
    messages: Sequence[asyncpg.Record],
    timeline: Sequence[asyncpg.Record],
    texts: Mapping[UUID, str],
) -> Life:
    return Life(
        id=UUID(bytes=row["id"].bytes),
        client_id=row["client_id"],
        psychologist_id=row["psychologist_id"],
        status=Status(row["status"]),
        end_reason=EndReason(row["end_reason"]) if row["end_reason"] else None,
        version=row["version"],
        last_seq=row["last_seq"],
        language=row["language"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        automations={AutomationKind(one["kind"]): _settled(one) for one in automations},
        messages=[Said(str(one["id"]), one["seq"], texts[one["id"]]) for one in messages],
        triggers=[(one["version"], one["trigger"]) for one in timeline],
    )


def _settled(row: asyncpg.Record) -> Settled:
    return Settled(
        kind=AutomationKind(row["kind"]),
        status=AutomationStatus(row["status"]),
        reason=row["reason"],
        due_at=row["due_at"],
        executed_at=row["executed_at"],
        lateness_ms=row["lateness_ms"],
        attempts=row["attempts"],
    )


def _data(data: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(data) if isinstance(data, str) else data
    return read
