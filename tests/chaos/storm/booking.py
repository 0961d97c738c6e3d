"""Bookings by the hundred: the rows that `rdchat.services.counselings` writes for each, many to a statement.

By HTTP a booking takes milliseconds of a replica's time; here it is the timers' turn to be loaded.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from redis.exceptions import RedisError

from rdchat.common.clock import SystemClock, to_ms
from rdchat.postgres.data_keys import session_owner
from rdchat.redis.delay_queue import Job
from statemachine import Session
from statemachine.schedule import Leads, plan
from tests.support.keys import data_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from tests.chaos.storm.delay_queue import Queue
    from tests.chaos.storm.plan import Appointment

_NAMES: Final = UUID("5d0c8c0e-0b52-4a0b-9f4d-0d6a6f9b2b11")
_PSYCHOLOGISTS: Final = [uuid5(_NAMES, f"psychologist {number}") for number in range(64)]

_PEOPLE = """
INSERT INTO people (id, role, seen_at)
SELECT id, $2, $3 FROM unnest($1::uuid[]) AS t (id)
"""

_MAKE_PSYCHOLOGISTS = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at)
SELECT id, 'UTC', true, $2, $2 FROM unnest($1::uuid[]) AS t (id)
"""

_COUNSELINGS = """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end_date, local_end, client_timezone,
                         psychologist_timezone, client_exclusive, created_at, updated_at)
SELECT id, client_id, psychologist_id, 'chat', 'pending', starts_at, ends_at, 'UTC',
       starts_at::date, starts_at::time, ends_at::date, ends_at::time, 'UTC', 'UTC', true, $6, $6
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    AS t (id, client_id, psychologist_id, starts_at, ends_at)
"""

_SESSIONS = """
INSERT INTO chat_sessions (id, counseling_id, client_id, psychologist_id, status, version, last_seq,
                           schedule_version, language, starts_at, ends_at, created_at, updated_at)
SELECT id, counseling_id, client_id, psychologist_id, 'pending', 0, 0, 1, language, starts_at, ends_at, $8, $8
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[],
              $7::timestamptz[])
    AS t (id, counseling_id, client_id, psychologist_id, language, starts_at, ends_at)
"""

_AUTOMATIONS = """
INSERT INTO automations (session_id, kind, schedule_version, due_at, status)
SELECT session_id, kind, 1, due_at, 'scheduled'
  FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS t (session_id, kind, due_at)
"""

_TIMELINE = """
INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                      to_status, at)
SELECT session_id, 0, 0, gen_random_uuid(), 'book', actor_id, 'pending', 'pending', $3
  FROM unnest($1::uuid[], $2::uuid[]) AS t (session_id, actor_id)
"""


class Bookings:
    """Books appointments of a storm that began at `began`. `booked` counts them."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], queue: Queue, began: datetime) -> None:
        self._pool = pool
        self._queue = queue
        self._began = began
        self.booked = 0

    async def employ_psychologists(self) -> None:
        """Write the people who can be booked."""
        now = SystemClock().now()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_PEOPLE, _PSYCHOLOGISTS, "psychologist", now)
            await connection.execute(_MAKE_PSYCHOLOGISTS, _PSYCHOLOGISTS, now)

    async def book(self, appointments: Sequence[Appointment]) -> None:
        """Book in one transaction; then schedule the timers of those whose booking lives to do so."""
        now = SystemClock().now()
        sessions = [self._session(one, now) for one in appointments]
        if not sessions:
            return
        await self._write(sessions, now)
        self.booked += len(sessions)
        jobs = [
            (Job(session.id, automation.kind, session.schedule_version), to_ms(automation.due_at))
            for one, session in zip(appointments, sessions, strict=True)
            if one.is_queued
            for automation in session.automations.values()
        ]
        # As in `Counselings`: where Redis is away, the reconciler does it.
        with suppress(RedisError, OSError):
            await self._queue.schedule(jobs)

    def _session(self, one: Appointment, now: datetime) -> Session:
        starts_at, ends_at = self._began + _whole_ms(one.starts), self._began + _whole_ms(one.ends)
        leads = Leads(_whole_ms(one.initial_lead), _whole_ms(one.warning_lead))
        return Session(
            id=one.id,
            counseling_id=uuid5(one.id, "counseling"),
            client_id=uuid5(one.id, "client"),
            client_name="Budi",
            psychologist_id=_PSYCHOLOGISTS[one.id.int % len(_PSYCHOLOGISTS)],
            psychologist_name="Sari",
            starts_at=starts_at,
            ends_at=ends_at,
            created_at=now,
            updated_at=now,
            automations=plan(starts_at, ends_at, leads, now),
        )

    async def _write(self, sessions: Sequence[Session], now: datetime) -> None:
        ids = [one.id for one in sessions]
        clients = [one.client_id for one in sessions]
        counselings = [one.counseling_id for one in sessions]
        psychologists = [one.psychologist_id for one in sessions]
        starts, ends = [one.starts_at for one in sessions], [one.ends_at for one in sessions]
        due = [
            (one.id, each.kind.value, each.due_at) for one in sessions for each in one.automations.values()
        ]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_PEOPLE, clients, "client", now)
            await connection.execute(_COUNSELINGS, counselings, clients, psychologists, starts, ends, now)
            languages = [one.language for one in sessions]
            await connection.execute(
                _SESSIONS, ids, counselings, clients, psychologists, languages, starts, ends, now
            )
            await data_keys().create(connection, [session_owner(one) for one in sessions])
            await connection.execute(_AUTOMATIONS, *zip(*due, strict=True))
            await connection.execute(_TIMELINE, ids, clients, now)


def _whole_ms(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))
