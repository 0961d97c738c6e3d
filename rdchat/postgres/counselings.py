"""Counsellings: booking them, in one transaction with their chat session, and reading one.

Longer than most: who takes a booking is found, locked and checked in the transaction that writes it, and the
order of these is the point.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import TYPE_CHECKING, Any, Final

from asyncpg import ExclusionViolationError, UniqueViolationError

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.availability import to_instant
from rdchat.domain.booking import LONGEST, Slot, clipped, max_overlap, zone
from rdchat.domain.counseling import Counseling
from rdchat.postgres import audit, people
from rdchat.postgres.data_keys import KeyOwner, keys_of, session_owner
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire, rows_changed
from rdchat.postgres.working_time import hours_from_row
from rdchat.security.encryption import context
from rdchat.texts.wording import ERASED, UNVERIFIED
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.booking import Limits
    from rdchat.domain.booking_rules import BookingRules
    from rdchat.domain.counseling import Booking
    from rdchat.domain.person import Psychologist
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor
    from statemachine import Session

#: Not cancelled, and not over either if it is by chat. Whether it is open or over otherwise: see `STATUS`.
_PRESENT: Final = "status = 'pending'"

_INSERT_COUNSELING = """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end_date, local_end, start_fold, end_fold,
                         client_timezone, psychologist_timezone, organization_id, notes, client_exclusive,
                         created_at, updated_at)
VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $19)
"""

# One statement: a booking holds two people's rows, and each round trip is time in which others wait for them.
_INSERT_SESSION = """
WITH session AS (
    INSERT INTO chat_sessions (id, counseling_id, client_id, psychologist_id, status, version, last_seq,
                               schedule_version, language, starts_at, ends_at, created_at, updated_at,
                               organization_id)
    VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, $8, $9, $10, $10, $11)
),
automation AS (
    INSERT INTO automations (session_id, kind, schedule_version, due_at, status)
    SELECT $1, kind, $6, due_at, 'scheduled'
      FROM unnest($12::text[], $13::timestamptz[]) AS plan (kind, due_at)
)
INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                      to_status, at)
VALUES ($1, 0, 0, $14, 'book', $15, 'pending', 'pending', $10)
"""

#: The day is given as instants: PostgreSQL need not know the same time zones as we do.
_CANDIDATES = """
SELECT s.id, s.timezone, s.availability
  FROM psychologists s
 WHERE s.is_active AND s.id <> $3
 ORDER BY (SELECT count(*) FROM counselings c
            WHERE c.psychologist_id = s.id AND c.status <> 'cancelled'
              AND c.starts_at >= $1 AND c.starts_at < $2), random()
"""

_LOCKED_PSYCHOLOGIST = """
SELECT s.*, p.sealed_name FROM psychologists s JOIN people p USING (id) WHERE s.id = $1 FOR NO KEY UPDATE OF s
"""

#: Where a counselling stands at an instant, `$1`. One by chat follows its session, any other the clock:
#: no one tells us whether people meet.
STATUS: Final = """
  CASE WHEN c.status <> 'pending' THEN c.status
       WHEN s.status IN ('active', 'ending_soon') THEN 'active'
       WHEN s.id IS NOT NULL OR c.starts_at > $1 THEN 'pending'
       WHEN c.ends_at > $1 THEN 'active'
       ELSE 'completed' END
"""

COUNSELING: Final = f"""
SELECT c.*, client.sealed_name AS client_sealed, p.sealed_name AS psychologist_sealed, s.id AS session_id,
       s.status AS session_status, s.language AS session_language, {STATUS} AS shown_status
  FROM counselings c
  JOIN people client ON client.id = c.client_id
  JOIN people p ON p.id = c.psychologist_id
  LEFT JOIN chat_sessions s ON s.counseling_id = c.id
"""  # noqa: S608 - constant text


#: What a client still has ahead, at an instant: not begun, not cancelled, not over. One by chat begins with
#: its session, also where that is late.
_COUNT_PENDING = f"""
SELECT count(*)
  FROM counselings c LEFT JOIN chat_sessions s ON s.counseling_id = c.id
 WHERE c.client_id = $2 AND c.starts_at > $3 AND c.ends_at > $1 AND {STATUS} = 'pending'
"""  # noqa: S608 - constant text


async def choose_psychologist(
    connection: Connection, booking: Booking, limits: Limits, *, keeps_hours: bool = True
) -> Psychologist:
    """Find who takes a booking, and lock their row until the transaction ends.

    `keeps_hours` False: of one who is named, it is not asked whether they work then.
    Raise RdchatError: PSYCHOLOGIST_LIMIT, NO_PSYCHOLOGIST, or VALIDATION_FAILED for one who does not exist.
    """
    slot = booking.slot
    if booking.psychologist_id is not None:
        if booking.psychologist_id == booking.client_id:
            raise invalid("psychologistId", "No one can book themselves.")
        known = await connection.fetchval(
            "SELECT is_active FROM psychologists WHERE id = $1", booking.psychologist_id
        )
        if not known:
            raise invalid("psychologistId", "Unknown psychologist.")
        return await check_psychologist(connection, booking.psychologist_id, slot, limits, hours=keeps_hours)
    tz = zone(slot.timezone)
    day = slot.wall_times().day
    midnight, next_midnight = (to_instant(one, time(0), tz) for one in (day, day + timedelta(days=1)))
    candidates = await connection.fetch(_CANDIDATES, midnight, next_midnight, booking.client_id)
    for candidate in candidates:
        # Asked again under the lock; but one who does not work then need not be locked to know it.
        if not hours_from_row(candidate).covers(slot.starts_at, slot.ends_at):
            continue
        # A savepoint: the lock on one who turns out to be full is let go before the next one is taken.
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            chosen = await check_psychologist(connection, candidate["id"], slot, limits)
        except RdchatError:
            await savepoint.rollback()
        else:
            await savepoint.commit()
            return chosen
    raise RdchatError(ErrorCode.NO_PSYCHOLOGIST)


async def check_psychologist(
    connection: Connection,
    psychologist_id: UUID,
    slot: Slot,
    limits: Limits,
    *,
    except_counseling: UUID | None = None,
    hours: bool = True,
) -> Psychologist:
    """Lock a psychologist's row, and see that they can be booked and that one more fits.

    `except_counseling` is not counted: it is the one that is to be moved. `hours` False: whether they still
    take bookings and work then is not asked. A caller that locks a client's row as well does that first.

    Raise RdchatError: NO_PSYCHOLOGIST outside of their working hours, PSYCHOLOGIST_LIMIT.
    """
    row = await connection.fetchrow(_LOCKED_PSYCHOLOGIST, psychologist_id)
    if row is None:
        raise RdchatError(ErrorCode.NO_PSYCHOLOGIST)
    # The row is as the one who had the lock before us has left it, and so are its hours.
    if hours and not (row["is_active"] and hours_from_row(row).covers(slot.starts_at, slot.ends_at)):
        raise RdchatError(ErrorCode.NO_PSYCHOLOGIST)
    # Counted after the lock, in a statement of its own: it sees what the one before us has committed.
    deepest = await _overlap_with(connection, "psychologist_id", psychologist_id, slot, except_counseling)
    if deepest > limits.per_psychologist:
        raise RdchatError(ErrorCode.PSYCHOLOGIST_LIMIT)
    return await people.psychologist_from_row(connection, row)


async def check_pending(
    connection: Connection, client_id: UUID, rules: BookingRules, *, at: datetime
) -> None:
    """Lock the client's row and see that one more may lie ahead. Raise RdchatError (PENDING_LIMIT)."""
    await lock_client(connection, client_id)
    # Counted after the lock, in a statement of its own: see `check_psychologist`.
    rules.check_pending(await connection.fetchval(_COUNT_PENDING, at, client_id, at - LONGEST))


async def check_client(
    connection: Connection,
    client_id: UUID,
    slot: Slot,
    limits: Limits,
    *,
    except_counseling: UUID | None = None,
) -> None:
    """Lock the client's row and see that one more fits. Raise RdchatError (CLIENT_LIMIT).

    `except_counseling` is not counted: it is the one that is to be moved.
    """
    await lock_client(connection, client_id)
    if await _overlap_with(connection, "client_id", client_id, slot, except_counseling) > limits.per_client:
        raise RdchatError(ErrorCode.CLIENT_LIMIT)


async def lock_psychologists(connection: Connection, ids: Sequence[UUID]) -> None:
    """Keep psychologists, their hours and what they have as they are until the transaction ends."""
    await connection.execute(
        "SELECT 1 FROM psychologists WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", list(ids)
    )


async def lock_client(connection: Connection, client_id: UUID) -> None:
    """Keep others from booking for a client, and from moving what they have, until the transaction ends."""
    await connection.execute("SELECT 1 FROM people WHERE id = $1 FOR NO KEY UPDATE", client_id)


async def _overlap_with(
    connection: Connection, column: str, person_id: UUID, slot: Slot, except_counseling: UUID | None
) -> int:
    """Count how many counsellings a person would have at once, during the slot, with one more in it."""
    rows = await connection.fetch(
        f"SELECT starts_at, ends_at FROM counselings WHERE {column} = $1 AND {_PRESENT} "  # noqa: S608 - a column's name, ours
        "AND starts_at < $3 AND starts_at > $4 AND ends_at > $2 AND id IS DISTINCT FROM $5",
        person_id,
        slot.starts_at,
        slot.ends_at,
        slot.starts_at - LONGEST,
        except_counseling,
    )
    return 1 + max_overlap(
        clipped(((row["starts_at"], row["ends_at"]) for row in rows), slot.starts_at, slot.ends_at)
    )


async def insert_counseling(
    connection: Connection,
    booking: Booking,
    *,
    counseling_id: UUID,
    psychologist: Psychologist,
    exclusive: bool,
    keys: DataKeys,
    at: datetime,
) -> None:
    """Write a counselling. Raise RdchatError (CLIENT_LIMIT) where it overlaps another, or is there."""
    slot = booking.slot
    notes = None
    if booking.notes is not None:
        owner = KeyOwner(counseling_id, (booking.client_id, psychologist.id))
        encryptor = await keys.get_or_create(connection, owner)
        notes = encryptor.encrypt(booking.notes.encode(), context("notes", counseling_id))
    try:
        await connection.execute(
            _INSERT_COUNSELING,
            counseling_id,
            booking.client_id,
            psychologist.id,
            booking.method,
            *slot_columns(slot),
            booking.client_timezone,
            psychologist.timezone,
            booking.organization_id,
            notes,
            exclusive,
            at,
        )
    except (ExclusionViolationError, UniqueViolationError) as error:
        raise RdchatError(ErrorCode.CLIENT_LIMIT) from error


def slot_columns(slot: Slot) -> tuple[Any, ...]:
    """Return the columns that say when: instants, the zone agreed on, what its clock shows, the folds."""
    agreed = slot.wall_times()
    return (
        slot.starts_at,
        slot.ends_at,
        slot.timezone,
        agreed.day,
        agreed.start.replace(fold=0),
        agreed.end_day,
        agreed.end.replace(fold=0),
        bool(agreed.start.fold),
        bool(agreed.end.fold),
    )


async def insert_session(
    connection: Connection, session: Session, *, command_id: UUID, actor_id: UUID, keys: DataKeys
) -> None:
    """Write a new session with its data key, its automations and the first line of its timeline."""
    await keys.create(connection, [session_owner(session)])
    await connection.execute(
        _INSERT_SESSION,
        session.id,
        session.counseling_id,
        session.client_id,
        session.psychologist_id,
        session.status.value,
        session.schedule_version,
        session.language,
        session.starts_at,
        session.ends_at,
        session.created_at,
        session.organization_id,
        [one.kind.value for one in session.automations.values()],
        [one.due_at for one in session.automations.values()],
        command_id,
        actor_id,
    )
    entry = AuditEntry(
        at=session.created_at,
        kind=AuditKind.STATE_CHANGED,
        action="book",
        outcome=session.status.value,
        actor_id=actor_id,
        subject_id=session.counseling_id,
        session_id=session.id,
    )
    await audit.insert_entries(connection, [entry], keys=keys)


async def get_counseling(pool: Pool, counseling_id: UUID, *, at: datetime) -> Counseling | None:
    """Read one counselling as it stands at an instant, or None."""
    async with acquire(pool) as connection:
        return await get_counseling_on(connection, counseling_id, at=at)


async def get_counseling_on(
    connection: Connection, counseling_id: UUID, *, at: datetime
) -> Counseling | None:
    """Do what `get_counseling` does on a connection; within a transaction if there is one."""
    rows = await connection.fetch(COUNSELING + "WHERE c.id = $2", at, counseling_id)
    return next(iter(await counselings_from_rows(connection, rows)), None)


async def get_notes(pool: Pool, counseling: Counseling, *, keys: DataKeys) -> str | None:
    """Read what the client wrote for the psychologist when they booked, if they did."""
    async with acquire(pool) as connection:
        encrypted = await connection.fetchval("SELECT notes FROM counselings WHERE id = $1", counseling.id)
        written = [(counseling, encrypted)] if encrypted is not None else []
        return (await _decrypted(connection, written, "notes", keys)).get(counseling.id)


async def get_cancel_reasons(pool: Pool, some: Iterable[Counseling], *, keys: DataKeys) -> dict[UUID, str]:
    """Read why counsellings were cancelled, where that was said, in the words of the one who did."""
    written = [(one, one.encrypted_cancel_reason) for one in some if one.encrypted_cancel_reason is not None]
    if not written:
        return {}
    async with acquire(pool) as connection:
        return await _decrypted(connection, written, "reason", keys)


async def _decrypted(
    connection: Connection, written: Sequence[tuple[Counseling, bytes]], purpose: str, keys: DataKeys
) -> dict[UUID, str]:
    """Read what was written about counsellings; a placeholder for what is not as it was."""
    owners = [KeyOwner(one.id, one.participants) for one, _ in written]
    encryptors = await keys.find(connection, owners)
    read = {}
    for one, encrypted in written:
        bound_to = context(purpose, one.id)
        text = keys.read(encryptors.get(one.id), encrypted, bound_to, what=purpose, where=one.id)
        instead = (ERASED if keys.is_destroyed(one.id) else UNVERIFIED)[one.language or "id"]
        read[one.id] = text.decode() if text is not None else instead
    return read


def encrypted_reason(counseling_id: UUID, reason: str, encryptors: Mapping[UUID, Encryptor]) -> bytes:
    """Encrypt why a counselling is cancelled."""
    return encryptors[counseling_id].encrypt(reason.encode(), context("reason", counseling_id))


async def cancel_without_chat(
    connection: Connection,
    counseling: Counseling,
    by: UUID | None,
    reason: str | None,
    *,
    keys: DataKeys,
    at: datetime,
) -> bool:
    """Cancel a counselling that has no session; `by` None: for an administrator.

    Return whether it was not over yet.
    """
    encrypted = None
    if reason is not None:
        owner = KeyOwner(counseling.id, counseling.participants)
        encrypted = encrypted_reason(counseling.id, reason, await keys.ensure(connection, [owner]))
    tag: Any = await connection.execute(
        "UPDATE counselings SET status = 'cancelled', cancel_reason = $2, updated_at = $3, "  # noqa: S608 - constant text
        "cancelled_by = CASE $4::uuid WHEN client_id THEN 'client' WHEN psychologist_id THEN 'psychologist' "
        f"ELSE 'administrator' END WHERE id = $1 AND {_PRESENT} AND ends_at > $3",
        counseling.id,
        encrypted,
        at,
        by,
    )
    return rows_changed(tag) == 1


async def counselings_from_rows(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Counseling]:
    """Read counsellings off rows of `COUNSELING`."""
    names = await names_in(connection, keys_of(connection), rows)
    return [_counseling(row, names) for row in rows]


def _counseling(row: asyncpg.Record, names: Mapping[UUID, str]) -> Counseling:
    session_status = Status(row["session_status"]) if row["session_status"] else None
    return Counseling(
        id=row["id"],
        client_id=row["client_id"],
        client_name=shown_name(names, row["client_id"], row["session_language"]),
        psychologist_id=row["psychologist_id"],
        psychologist_name=shown_name(names, row["psychologist_id"], row["session_language"]),
        method=row["method"],
        status=row["shown_status"],
        slot=Slot(row["starts_at"], row["ends_at"], row["timezone"]),
        client_timezone=row["client_timezone"],
        psychologist_timezone=row["psychologist_timezone"],
        session_id=row["session_id"],
        session_status=session_status,
        organization_id=row["organization_id"],
        # Counted by a trigger, whatever changes it.
        revision=row["revision"],
        updated_at=row["updated_at"],
        encrypted_cancel_reason=row["cancel_reason"],
        language=row["session_language"],
    )
