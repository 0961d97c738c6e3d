"""What those see at a glance who run the service: numbers of sessions, and nothing that was said in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

#: Of the sessions that are about to open, so many are shown.
MOST_OPENINGS: Final = 100


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """How many sessions stand where, and what became of those that ended since the day began.

    `missed`: those that could not be opened in time; `cancelled` are the others that were cancelled.
    """

    pending: int = 0
    active: int = 0
    ending_soon: int = 0
    completed: int = 0
    cancelled: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that is to open soon."""

    session_id: UUID
    starts_at: datetime
    psychologist_id: UUID
    psychologist_name: str
    client_id: UUID


@dataclass(frozen=True, slots=True)
class LatenessMinute:
    """How late the automations were that ran within a minute, in ms. `worst`: the latest of them."""

    minute: datetime
    count: int
    p50: int
    p99: int
    worst: int


@dataclass(frozen=True, slots=True)
class PostgresqlStatus:
    """How PostgreSQL is, as a replica sees it: how long an answer takes, and how many connections there are.

    `connections`: to the database, of all who have some; `most_connections`: to the server. `pool_...`: of
    this replica.
    """

    latency_ms: float
    connections: int
    most_connections: int
    pool_open: int
    pool_idle: int
    pool_most: int
