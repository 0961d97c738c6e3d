"""Attachments in the group commit: bound to their message with it, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import orjson
import pytest

from config import Organizations
from rdchat.common.clock import SystemClock
from rdchat.engine.change import ChangeBuilder
from rdchat.postgres import attachments, commit, messages, outbox, pool, sessions
from rdchat.postgres.data_keys import session_owner
from rdchat.texts.wording import automated_text
from statemachine import Attachment, EndSession, Refusal, SendMessage, step
from tests.support.keys import data_keys

if TYPE_CHECKING:
    from rdchat.engine.change import Change
    from rdchat.postgres.pool import Pool
    from statemachine import Command, Session

LEASE = timedelta(seconds=10)
KEYS = data_keys()


def picture() -> Attachment:
    return Attachment(uuid4(), "foto.png", "image/png", 1234, 60, 40)


def said(session: Session, attachment: Attachment | None, text: str = "") -> SendMessage:
    return SendMessage(uuid4(), session.client_id, text, None, attachment)


def decided(session: Session, *commands: Command) -> Change:
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    for command in commands:
        decision = step(session, command, SystemClock().now())
        assert not isinstance(decision, Refusal)
        command_id = command.message_id if isinstance(command, SendMessage) else uuid4()
        builder.add(decision, command_id=command_id, actor_id=session.client_id)
        session = decision.session
    return builder.change


async def announced(database: Pool, session: Session, attachment: Attachment) -> Attachment:
    async with pool.acquire(database) as connection:
        encryptor = await KEYS.get(connection, session_owner(session))
        await attachments.insert_pending(
            connection,
            session.id,
            session.client_id,
            attachment,
            at=SystemClock().now(),
            encryptor=encryptor,
        )
    return attachment


async def write(database: Pool, *changes: Change) -> set[object]:
    return set(await commit.commit(database, changes, keys=KEYS, outbox_lease=LEASE))


async def kept(database: Pool, session: Session) -> list[tuple[str, Attachment | None]]:
    [now] = (await sessions.get_sessions(database, [session.id])).values()
    found = await messages.list_messages(database, now, first=1, stop=now.last_seq + 1, keys=KEYS)
    return [(one.message_type, one.attachment) for one in found]


async def test_attachments_are_bound_in_talk_and_beside_it(database: Pool, talking: list[Session]) -> None:
    first, second = talking
    one, two = [await announced(database, first, picture()) for _ in range(2)]
    document = await announced(database, second, Attachment(uuid4(), "a.pdf", "application/pdf", 9))
    change = decided(first, said(first, one), said(first, None, "Halo"), said(first, two))
    assert await write(database, change, decided(second, said(second, None, "Hai"))) == {first.id, second.id}
    assert await kept(database, first) == [("image", one), ("text", None), ("image", two)]
    # With an end in it, the commit is of the other kind.
    second = (await sessions.get_sessions(database, [second.id]))[second.id]
    change = decided(second, said(second, document), EndSession(second.client_id))
    assert await write(database, change) == {second.id}
    assert await kept(database, second) == [("text", None), ("file", document), ("automated", None)]
    assert await attachments.list_orphans(database, before=SystemClock().now(), limit=10) == []


async def test_what_lost_the_race_binds_nothing(database: Pool, talking: list[Session]) -> None:
    ended, neighbour = talking
    late, fine = [await announced(database, one, picture()) for one in talking]
    change = decided(ended, said(ended, late))
    await write(database, decided(ended, EndSession(ended.client_id)))
    assert await write(database, change, decided(neighbour, said(neighbour, fine))) == {neighbour.id}
    later = SystemClock().now() + timedelta(seconds=1)
    assert await attachments.list_orphans(database, before=later, limit=10) == [(ended.id, late.id)]
    assert await attachments.get_attachment(database, late.id, keys=KEYS) is None
    found = await attachments.get_attachment(database, fine.id, keys=KEYS)
    assert found is not None
    assert (found.attachment, found.session_id) == (fine, neighbour.id)
    assert set(found.participants) == set(neighbour.participants)


async def test_an_attachment_that_is_not_there_or_is_taken_sinks_the_commit(
    database: Pool, talking: list[Session]
) -> None:
    first, second = talking
    one = await announced(database, first, picture())
    for bad in (picture(), replace(one, id=uuid4())):
        with pytest.raises(asyncpg.NotNullViolationError):
            await write(database, decided(first, said(first, bad)))
    with pytest.raises(asyncpg.NotNullViolationError):
        await write(database, decided(second, said(second, one)))
    await write(database, decided(first, said(first, one)))
    first = (await sessions.get_sessions(database, [first.id]))[first.id]
    with pytest.raises(asyncpg.NotNullViolationError):
        await write(database, decided(first, said(first, one)))
    assert await kept(database, first) == [("image", one)]
    assert await kept(database, second) == []
    # What was sent is not forgotten.
    await attachments.delete_orphan(database, first.id, one.id)
    assert await kept(database, first) == [("image", one)]


async def test_whoever_takes_over_publishes_the_same_event_of_an_attachment(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    one = await announced(database, session, picture())
    change = decided(session, said(session, one, "Ini"), said(session, None, "Halo"))
    assert await write(database, change) == {session.id}
    async with pool.acquire(database) as connection:
        await connection.execute("UPDATE outbox SET lease_until = now() - interval '1 second'")
    (taken,) = await outbox.take_over_entries(database, lease=LEASE, limit=10, keys=KEYS)
    assert taken == change.outbox_entry
    payloads = [orjson.loads(event.data) for event in taken.events]
    assert [payload.get("attachment") for payload in payloads] == [
        {
            "id": str(one.id),
            "fileName": "foto.png",
            "contentType": "image/png",
            "size": 1234,
            "width": 60,
            "height": 40,
        },
        None,
    ]
