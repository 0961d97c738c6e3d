"""What operators do from the command line. Each function opens the stores, does one thing and closes them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rdchat.common.clock import SystemClock, from_ms, iso
from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.common.telemetry import Metrics
from rdchat.domain.booking import zone
from rdchat.domain.operator_action import Operator
from rdchat.domain.person import LONGEST_NAME, clean_name
from rdchat.domain.timeline import path_taken
from rdchat.operations.dead_letters import DeadLetters
from rdchat.operations.store_status import LATE
from rdchat.postgres import (
    automations,
    counseling_lists,
    outbox,
    people,
    reminders,
    scheduled_jobs,
    sessions,
    webhooks,
    working_time,
)
from rdchat.postgres.data_keys import DataKeys
from rdchat.postgres.key_checks import check_ring
from rdchat.postgres.migrate import bring_up_to_date, migrate
from rdchat.postgres.pool import acquire, close, connect, transaction
from rdchat.redis import connection as redis_connection
from rdchat.redis.delay_queue import DelayQueue, ReminderKind
from rdchat.security.encryption import KeyRing
from rdchat.webhooks.delivery_worker import place_of
from statemachine import AutomationKind, diagram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from config import Settings
    from rdchat.common.stores import Addresses
    from rdchat.postgres.pool import Pool


@asynccontextmanager
async def opened_database(
    addresses: Addresses, settings: Settings, *, as_owner: bool = False
) -> AsyncIterator[Pool]:
    """Connect to the database, brought up to date; `as_owner` of its schema, where that address is known.

    `settings` have the keys, which open names.
    """
    await prepare_embedded(addresses, settings)
    url = addresses.owner_url if as_owner else None
    pool = await connect(url or addresses.database_url, keys=make_keys(settings), size=2, patience=3.0)
    try:
        await bring_up_to_date(pool)
        yield pool
    finally:
        await close(pool)


@asynccontextmanager
async def _queue(addresses: Addresses) -> AsyncIterator[DelayQueue]:
    redis = redis_connection.connect(addresses.redis_url)
    try:
        yield DelayQueue(redis)
    finally:
        await redis.aclose()


@asynccontextmanager
async def _dead_letters(settings: Settings, addresses: Addresses) -> AsyncIterator[DeadLetters]:
    keys = make_keys(settings)
    async with _queue(addresses) as queue, opened_database(addresses, settings) as pool:
        async with acquire(pool) as connection:
            await check_ring(connection, keys.ring)
        yield DeadLetters(pool=pool, queue=queue, clock=SystemClock(), keys=keys)


def make_keys(settings: Settings) -> DataKeys:
    """Make what opens data keys with the ring of the settings, for one command."""
    return DataKeys(KeyRing(settings.encryption_keys), Metrics())


async def migrate_now(settings: Settings, addresses: Addresses) -> list[str]:
    """Apply migrations, as the schema's owner. Return their names."""
    url = addresses.owner_url or addresses.database_url
    pool = await connect(url, keys=make_keys(settings), size=2, patience=3.0)
    try:
        return await migrate(pool)
    finally:
        await close(pool)


async def prepare_embedded(addresses: Addresses, settings: Settings) -> None:
    """Apply migrations to a private database; one of the operator's own is left to its owner."""
    if addresses.embedded:
        pool = await connect(addresses.owner_url or addresses.database_url, keys=make_keys(settings), size=2)
        try:
            await migrate(pool)
        finally:
            await close(pool)


async def psychologists(
    settings: Settings,
    addresses: Addresses,
    psychologist_id: UUID | None,
    *,
    name: str | None,
    timezone: str | None,
    is_active: bool | None,
) -> list[str]:
    """List psychologists, after creating or changing the one that is named; None leaves a field as it is.

    What that one has ahead and cannot keep is listed as well: over HTTP, those who were to meet are told.

    Raise RdchatError: VALIDATION_FAILED for an unknown time zone, a name that shows nothing or is too long,
    or a new one without a name; ILLEGAL_TRANSITION for a client.
    """
    if timezone is not None:
        zone(timezone)
    affected: list[str] = []
    async with opened_database(addresses, settings) as pool:
        if psychologist_id is not None:
            now = SystemClock().now()
            async with transaction(pool) as connection:
                await people.put_psychologist(
                    connection,
                    psychologist_id,
                    full_name=_name(name) if name else None,
                    timezone=timezone,
                    is_active=is_active,
                    at=now,
                )
                working = await working_time.get_working_time(connection, psychologist_id)
                left = await counseling_lists.list_pending(connection, psychologist_id, at=now)
            affected = [
                f"does not fit, and no one was told: counselling {one.id} at {iso(one.slot.starts_at)}"
                for one in left
                if working is not None and not working.fits(one.slot.starts_at, one.slot.ends_at)
            ]
        listed = [
            f"{one.id}  {'active' if one.is_active else 'inactive':<8}  {one.timezone}  {one.full_name}"
            for one in await people.list_psychologists(pool, all_of_them=True)
        ]
    return listed + affected


def _name(given: str) -> str:
    if len(given) > LONGEST_NAME:
        raise invalid("name", f"Must have at most {LONGEST_NAME} characters.")
    name = clean_name(given)
    if not name:
        raise invalid("name", "Must not be empty.")
    return name


async def path_of(settings: Settings, addresses: Addresses, session_id: UUID) -> diagram.Path:
    """Read the way that a session took. Raise RdchatError (SESSION_NOT_FOUND)."""
    async with opened_database(addresses, settings) as pool:
        session = await sessions.get_session(pool, session_id)
        if session is None:
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        return diagram.Path(
            current=session.status, taken=path_taken(await sessions.list_timeline(pool, session_id))
        )


async def show_queue(settings: Settings, addresses: Addresses) -> list[str]:
    """Describe the delay queue, the outbox, the webhooks and the dead letters."""
    async with _queue(addresses) as queue, opened_database(addresses, settings) as pool:
        depths = await queue.depth()
        dead = await automations.list_dead_letters(pool)
        dead_reminders = await reminders.list_dead_letters(pool)
        unpublished = await outbox.count_entries(pool)
        waiting, given_up = await webhooks.count_deliveries(pool)
        dead_webhooks = await webhooks.list_dead_deliveries(pool)
        overdue, oldest = await scheduled_jobs.count_overdue(pool, SystemClock().now() - LATE)
    lines = ["shard  waiting  leased  overdue  next due"]
    for depth in depths:
        head = iso(from_ms(depth.head_ms)) if depth.head_ms is not None else "-"
        lines.append(f"{depth.shard:>5}  {depth.waiting:>7}  {depth.leased:>6}  {depth.overdue:>7}  {head}")
    since = f", the oldest since {iso(oldest)}" if oldest is not None else ""
    lines.append(f"\noverdue timers: {overdue}{since}")
    lines.append(f"commits waiting for Ably: {unpublished}")
    lines.append(f"dead letters: {len(dead) + len(dead_reminders)}")
    lines += [
        f"  {letter['session_id']}  {letter['kind']}  attempts {letter['attempts']}  {letter['reason']}"
        for letter in dead
    ]
    lines += [
        f"  {letter['counseling_id']}  {ReminderKind.REMINDER}  attempts {letter['attempts']}"
        f"  {letter['reason']}"
        for letter in dead_reminders
    ]
    lines += [f"webhooks waiting: {waiting}", f"dead webhooks: {given_up}"]
    lines += [
        f"  {one['id']}  {one['type']}  {place_of(one['endpoint'])}  attempts {one['attempts']}"
        f"  {one['last_error']}"
        for one in dead_webhooks
    ]
    return lines


async def drop_automation(
    settings: Settings,
    addresses: Addresses,
    session_id: UUID,
    kind: AutomationKind,
    *,
    reason: str | None = None,
) -> list[str]:
    """Cancel one automation of a session, dead letter or not. Return a line for each that was dropped.

    Raise RdchatError (FORBIDDEN) for the end of a session.
    """
    async with _dead_letters(settings, addresses) as letters:
        jobs = await letters.drop(Operator(reason=reason), session_id, kind, only_dead=False)
    return [f"dropped {job.kind.value}" for job in jobs] or ["Nothing of this kind waits."]


async def retry_dead_letters(
    settings: Settings, addresses: Addresses, subject_id: UUID, *, reason: str | None = None
) -> list[str]:
    """Schedule the dead letters of a session again, or of a counselling. Return a line for each."""
    async with _dead_letters(settings, addresses) as letters:
        jobs = await letters.retry(Operator(reason=reason), subject_id)
    return [f"scheduled {job.kind.value}" for job in jobs] or ["No dead letters."]


async def retry_webhooks(
    settings: Settings, addresses: Addresses, delivery_ids: Sequence[UUID], *, reason: str | None = None
) -> list[str]:
    """Schedule dead webhooks again: those named, or all of them. Return a line for each."""
    async with _dead_letters(settings, addresses) as letters:
        revived = await letters.retry_webhooks(Operator(reason=reason), delivery_ids or None)
    return [f"scheduled {delivery_id}  {kind}" for delivery_id, kind in revived] or ["No dead webhooks."]
