"""What there is to read: a practice of ten, its clients, what was said, and when there is time.

The same for all contenders; rdchat's is encrypted, the peer's is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from benchmarks.crowd import open_all, plant
from benchmarks.service import data_keys
from rdchat.common.clock import SystemClock
from rdchat.domain.availability import Availability, DayException, Hours, WeeklyHours
from rdchat.domain.message import Message, MessageType
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.messages import message_context, place_context
from rdchat.postgres.working_time import hours_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

#: Clients, and the sessions of each in the last weeks, all over but for the latest, in which much was said.
CLIENTS: Final = 32
SESSIONS_EACH: Final = 40
#: Messages: of a session that is over, and of one that goes on.
SAID: Final = 20
HISTORY: Final = 3_000
_UNREAD_HISTORY: Final = 2_000
#: Sessions that go on in which no one has read anything yet: receipts are sent for them.
UNREAD: Final = 32
#: Sessions of one psychologist, of these and of those: ten psychologists in all.
_PER_PSYCHOLOGIST: Final = 160
_UNREAD_PER_PSYCHOLOGIST: Final = 16
#: People read so many messages at a time, and in every third session the last of them are unread.
_STEP: Final = 10
_LEFT_UNREAD: Final = 3
#: Days of which free times are asked for.
DAYS: Final = 30
#: Bookings ahead of each psychologist a day: as many at one time as can be, and some alone.
_FULL_AT: Final = (9,)
_BUSY_AT: Final = (10, 15, 16)
_AT_ONCE: Final = 5
_TEXT: Final = (
    "Akhir-akhir ini saya susah tidur, dan rasanya semua tugas datang bersamaan. Bagaimana sebaiknya?"
)


@dataclass(frozen=True, slots=True)
class Talk:
    """A session with its two people."""

    session_id: UUID
    client_id: UUID
    psychologist_id: UUID


@dataclass(frozen=True, slots=True)
class Practice:
    """Sessions with a long history, others in which nothing was read, and the first day to be booked."""

    long: list[Talk]
    unread: list[Talk]
    first_day: date


async def furnish(connection: Connection) -> Practice:
    """Write all of it as the service would have left it."""
    now = SystemClock().now()
    await _sessions(
        connection, now, CLIENTS * SESSIONS_EACH, days=25, each=(SESSIONS_EACH, _PER_PSYCHOLOGIST)
    )
    talks = await _talks(connection)
    long = [talk for number, talk in enumerate(talks, 1) if number % SESSIONS_EACH == 0]
    over = [talk for number, talk in enumerate(talks, 1) if number % SESSIONS_EACH]
    for statement in _COMPLETED:
        await connection.execute(statement, [talk.session_id for talk in over])
    for statement in _MOVED:
        await connection.execute(statement, [talk.session_id for talk in long], now - timedelta(minutes=1))
    await _sessions(connection, now, UNREAD, days=0, each=(1, _UNREAD_PER_PSYCHOLOGIST))
    await open_all(connection, now)
    known = set(talks)
    unread = [talk for talk in await _talks(connection) if talk not in known]
    for some, count in ((over, SAID), (long, HISTORY), (unread, _UNREAD_HISTORY)):
        await _say(connection, some, count, now)
    await connection.execute(_READ, [talk.session_id for talk in talks], _STEP, _LEFT_UNREAD)
    first_day = (now + timedelta(days=2)).date()
    await _hours(connection, first_day)
    await connection.execute(
        _BOOKED, first_day, DAYS, [*_FULL_AT * _AT_ONCE, *_BUSY_AT], timedelta(hours=1), now
    )
    await connection.execute("VACUUM ANALYZE", timeout=600)
    return Practice(long, unread, first_day)


async def _sessions(
    connection: Connection, now: datetime, count: int, *, days: int, each: tuple[int, int]
) -> None:
    await plant(
        connection,
        sessions=count,
        first=now - timedelta(days=days, minutes=1),
        spread=timedelta(days=days),
        length=timedelta(hours=8),
        initial_message_lead=timedelta(minutes=10),
        end_warning_lead=timedelta(minutes=5),
        at=now - timedelta(days=days, hours=1),
        checked=False,
        per_client=each[0],
        per_psychologist=each[1],
    )


async def _talks(connection: Connection) -> list[Talk]:
    rows = await connection.fetch(
        "SELECT id, client_id, psychologist_id FROM chat_sessions ORDER BY starts_at, id"
    )
    return [Talk(row["id"], row["client_id"], row["psychologist_id"]) for row in rows]


_COMPLETED: Final = (
    """
UPDATE chat_sessions SET status = 'completed', ended_at = ends_at, updated_at = ends_at,
       started_at = starts_at, end_reason = 'auto_ended', outcome = 'held', version = 2, state_version = 2
 WHERE id = ANY($1)
""",
    """
UPDATE automations SET status = 'done', executed_at = due_at, lateness_ms = 0 WHERE session_id = ANY($1)
""",
    """
UPDATE counselings SET status = 'completed' FROM chat_sessions s
 WHERE s.counseling_id = counselings.id AND s.id = ANY($1)
""",
)

# What goes on has begun a moment ago.
_MOVED: Final = (
    """
UPDATE automations a SET due_at = a.due_at + ($2::timestamptz - s.starts_at) FROM chat_sessions s
 WHERE s.id = a.session_id AND s.id = ANY($1)
""",
    """
UPDATE counselings c SET starts_at = $2::timestamptz, ends_at = $2::timestamptz + (c.ends_at - c.starts_at)
  FROM chat_sessions s
 WHERE s.counseling_id = c.id AND s.id = ANY($1)
""",
    """
UPDATE chat_sessions SET starts_at = $2::timestamptz, ends_at = $2::timestamptz + (ends_at - starts_at)
 WHERE id = ANY($1)
""",
)

_COLUMNS: Final = (
    "session_id",
    "seq",
    "id",
    "sender_id",
    "message_type",
    "body",
    "client_message_id",
    "created_at",
    "mac",
)


async def _say(connection: Connection, talks: list[Talk], count: int, now: datetime) -> None:
    owners = [KeyOwner(one.session_id, (one.client_id, one.psychologist_id)) for one in talks]
    keys = await data_keys().find(connection, owners)

    def rows() -> Iterator[tuple[Any, ...]]:
        for talk in talks:
            encryptor = keys[talk.session_id]
            for message in _messages(talk, count, now):
                yield (
                    message.session_id,
                    message.seq,
                    message.id,
                    message.sender_id,
                    message.message_type.value,
                    encryptor.encrypt(message.text.encode(), message_context(message)),
                    message.client_message_id,
                    message.created_at,
                    encryptor.mac(place_context(message.session_id, message.seq, message.id)),
                )

    await connection.copy_records_to_table("messages", records=rows(), columns=_COLUMNS)
    await connection.execute(
        "UPDATE chat_sessions SET last_seq = $2 WHERE id = ANY($1)", [one.session_id for one in talks], count
    )


def _messages(talk: Talk, count: int, now: datetime) -> Iterator[Message]:
    for seq in range(1, count + 1):
        yield Message(
            id=uuid4(),
            session_id=talk.session_id,
            seq=seq,
            sender_id=talk.psychologist_id if seq % 3 == 0 else talk.client_id,
            sender_name="",
            text=_TEXT[: 20 + seq * 7 % 80],
            message_type=MessageType.TEXT,
            client_message_id=f"m{seq}",
            created_at=now - timedelta(seconds=2 * (count - seq)),
        )


_READ: Final = """
INSERT INTO reads (session_id, person_id, up_to_seq, read_at)
SELECT s.id, person_id, up_to_seq, now()
  FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM chat_sessions WHERE id = ANY($1)) s,
       unnest(ARRAY[s.client_id, s.psychologist_id]) AS person_id,
       LATERAL (SELECT generate_series(0, s.last_seq - $3 * (s.n % 3 = 0)::int, $2) AS up_to_seq
                 UNION SELECT s.last_seq - $3 * (s.n % 3 = 0)::int) steps
 WHERE up_to_seq > 0
"""


async def _hours(connection: Connection, first_day: date) -> None:
    """Have everyone work on weekdays, in the morning and in the afternoon, with two days off."""
    hours = [Hours(time(8), time(12)), Hours(time(13), time(18))]
    weekly = tuple(WeeklyHours(weekday, one) for weekday in range(1, 6) for one in hours)
    ids = await connection.fetch("SELECT id FROM psychologists ORDER BY id")
    for number, row in enumerate(ids):
        off = tuple(
            DayException(first_day + timedelta(days=(number + more) % DAYS), False, Hours(time(0), time(0)))
            for more in (3, 10)
        )
        document = hours_document(Availability("Asia/Jakarta", weekly, off))
        await connection.execute(
            "UPDATE psychologists SET availability = $2 WHERE id = $1", row["id"], document
        )


_BOOKED: Final = """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end_date, local_end, client_timezone,
                         psychologist_timezone, client_exclusive, created_at, updated_at)
SELECT gen_random_uuid(), client.id, p.id, 'online', 'pending', at, at + $4::interval, 'Asia/Jakarta',
       day, make_time(hour, 0, 0), day, make_time(hour + 1, 0, 0), 'Asia/Jakarta', 'Asia/Jakarta', false,
       $5, $5
  FROM psychologists p, unnest($3::int[]) AS hour,
       LATERAL (SELECT $1::date + n AS day,
                       ($1::date + n + make_time(hour, 0, 0)) AT TIME ZONE 'Asia/Jakarta' AS at
                  FROM generate_series(0, $2::int - 1) AS n) days,
       LATERAL (SELECT id FROM people WHERE role = 'client' ORDER BY id LIMIT 1) client
"""

_PEER_MESSAGES: Final = """
INSERT INTO peer.messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
SELECT session_id, seq, id, sender_id, message_type, left($1, (20 + seq * 7 % 80)::int), client_message_id,
       created_at
  FROM public.messages
"""

_PEER: Final = (
    """
INSERT INTO peer.reads SELECT session_id, person_id, max(up_to_seq), max(read_at) FROM public.reads
 GROUP BY session_id, person_id
""",
    """
INSERT INTO peer.working_hours
SELECT id, weekday, starts, ends
  FROM public.psychologists, generate_series(1, 5) AS weekday,
       (VALUES ('08:00'::time, '12:00'::time), ('13:00', '18:00')) AS hours (starts, ends)
""",
    """
INSERT INTO peer.days_off
SELECT id, (exception ->> 0)::date
  FROM public.psychologists, jsonb_array_elements(availability -> 'exceptions') AS exception
""",
)


async def furnish_peer(connection: Connection) -> None:
    """Give the peer, which has the sessions, the same messages, steps of reading and hours."""
    await connection.execute(_PEER_MESSAGES, _TEXT, timeout=600)
    for statement in _PEER:
        await connection.execute(statement, timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)
