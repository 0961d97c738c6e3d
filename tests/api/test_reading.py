"""Read receipts and unread counts: how far somebody has read, who is told, and what is left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.domain.person import Role
from rdchat.postgres import sessions
from tests.support.envelope import assert_refused
from tests.support.handing_over import hand_over
from tests.support.pair import Pair, a_pair
from tests.support.service import Service, service_settings
from tests.support.sessions import instant, opened
from tests.support.soon import book_soon, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from statemachine import Session
    from tests.support.service import Person, Reply


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as made:
        yield made


async def read(person: Person, session_id: str, up_to: Any = None) -> Reply:
    body = {} if up_to is None else {"upToSeq": up_to}
    return await person.put(f"/chat/sessions/{session_id}/read", body)


async def unread(person: Person) -> tuple[int, dict[str, int]]:
    data = (await person.get("/chat/unread")).data
    return data["total"], {one["sessionId"]: one["unread"] for one in data["sessions"]}


async def in_list(person: Person, session_id: str) -> int:
    found = (await person.get("/chat/sessions")).data["data"]
    return next(one["unreadCount"] for one in found if one["id"] == session_id)


async def test_both_directions_message_by_message(pair: Pair) -> None:
    client, psychologist, session_id = await opened(pair.one)
    for person, text in ((client, "a"), (psychologist, "b"), (client, "c"), (psychologist, "d")):
        assert (await person.say(session_id, text)).status == 201
    # 1 and 2 are automated, and the psychologist's.
    assert await unread(client) == (4, {session_id: 4})
    assert await unread(psychologist) == (2, {session_id: 2})
    assert await in_list(client, session_id) == 4
    reply = await read(client, session_id, 4)
    assert (reply.status, reply.data["sessionId"], reply.data["upToSeq"]) == (200, session_id, 4)
    first_at = reply.data["readAt"]
    assert await unread(client) == (1, {session_id: 1})
    assert await unread(psychologist) == (2, {session_id: 2}), "what one reads is not read by the other"
    second_at = (await read(pair.elsewhere(client), session_id)).data["readAt"]
    assert instant(second_at) > instant(first_at)
    assert (await read(psychologist, session_id, 3)).data["upToSeq"] == 3
    shown = [(one["seq"], one["isRead"], one["readAt"]) for one in await client.history(session_id)]
    other_at = (await read(psychologist, session_id, 1)).data["readAt"]
    assert shown == [
        (1, True, first_at),
        (2, True, first_at),
        (3, True, other_at),
        (4, True, first_at),
        (5, False, None),
        (6, True, second_at),
    ]
    assert await unread(client) == (0, {})
    assert await in_list(client, session_id) == 0
    assert await in_list(psychologist, session_id) == 1
    channel = f"chat:session:{session_id}"
    await until(lambda: len(pair.world.events(channel, "message-read")) >= 3)
    assert sorted(
        (one["userId"], one["upToSeq"], one["readAt"], one["sessionId"])
        for one in pair.world.events(channel, "message-read")
    ) == sorted(
        [
            (str(client.id), 4, first_at, session_id),
            (str(client.id), 6, second_at, session_id),
            (str(psychologist.id), 3, other_at, session_id),
        ]
    )


async def test_beyond_the_last_is_the_last_and_back_is_nothing(pair: Pair) -> None:
    client, _, session_id = await opened(pair.one)
    reply = await read(client, session_id, 2**53)
    assert (reply.status, reply.data["upToSeq"]) == (200, 2)
    for up_to in (1, 2, 2**53, None):
        assert (await read(client, session_id, up_to)).data == reply.data
    for wrong in (0, -1, "2", 1.5, True, 2**70):
        refused = await read(client, session_id, wrong)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {"upToSeq"}
    channel = f"chat:session:{session_id}"
    # What is sent after them comes behind them, if there were any.
    await client.say(session_id, "Halo")
    await read(client, session_id)
    await until(lambda: [one["upToSeq"] for one in pair.world.events(channel, "message-read")][-1:] == [3])
    assert [one["upToSeq"] for one in pair.world.events(channel, "message-read")] == [2, 3]


async def test_many_devices_at_once_tell_one_step_once(pair: Pair) -> None:
    client, psychologist, session_id = await opened(pair.one)
    for number in range(5):
        await psychologist.say(session_id, f"{number}")
    devices = (client, pair.elsewhere(client)) * 10
    replies = await asyncio.gather(*(read(one, session_id, 1 + n % 7) for n, one in enumerate(devices)))
    assert {reply.status for reply in replies} == {200}
    assert (await read(client, session_id)).data["upToSeq"] == 7
    channel = f"chat:session:{session_id}"

    def told() -> list[int]:
        return [one["upToSeq"] for one in pair.world.events(channel, "message-read")]

    await until(lambda: 7 in told())
    assert len(told()) == len(set(told())), "a step is told once"
    rows = await pair.world.fetch("SELECT up_to_seq FROM reads")
    await until(lambda: sorted(told()) == sorted(row["up_to_seq"] for row in rows))


async def test_a_session_that_is_in_memory_is_not_read_for_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, psychologist, session_id = await opened(pair.one)
    await client.say(session_id, "Halo")
    asked = []

    async def noted(pool: Any, session: UUID) -> Session | None:
        asked.append(str(session))
        return await get_session(pool, session)

    get_session = sessions.get_session
    monkeypatch.setattr(sessions, "get_session", noted)
    assert (await read(psychologist, session_id)).data["upToSeq"] == 3
    assert asked == []
    # What this replica remembers is not so any more: the other has gone on.
    await pair.elsewhere(client).say(session_id, "Masih di situ?")
    assert (await read(psychologist, session_id)).data["upToSeq"] == 4
    assert asked == [session_id]


async def test_before_the_start_after_the_end_and_by_nobody_else(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    stranger, admin = service.person(), service.person(Role.SUPER_ADMIN, "Admin")
    for person in (stranger, admin):
        assert_refused(await read(person, session_id), 403, "NOT_PARTICIPANT")
        assert (await person.get("/chat/unread")).data == {"total": 0, "sessions": []}
    missing = await read(client, "00000000-0000-4000-8000-000000000000")
    assert_refused(missing, 404, "SESSION_NOT_FOUND")
    await psychologist.put(f"/chat/sessions/{session_id}/end")
    assert await unread(client) == (3, {session_id: 3})
    after = await read(client, session_id)
    assert (after.status, after.data["upToSeq"]) == (200, 3)
    assert await unread(client) == (0, {})
    pending = await session_soon(client, 3600, 60)
    reply = await read(client, pending)
    assert reply.data == {"sessionId": pending, "upToSeq": 0, "readAt": None}


# ---- marks, for who looks again ---------------------------------------------------------------------------


async def marks(person: Person, session_id: str) -> list[tuple[int, int]]:
    """What a session and the list of sessions show: how far one has read, and how far the other."""
    listed = [
        one
        for order in ("start", "activity")
        for one in (await person.get("/chat/sessions", order=order)).data["data"]
    ]
    alone = await person.session(session_id)
    found = [one for one in (alone, *listed) if one["id"] == session_id]
    assert len(found) == 3
    return sorted({(one["readUpToSeq"], one["otherReadUpToSeq"]) for one in found})


async def test_a_session_shows_how_far_both_have_read(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    assert (await marks(client, session_id), await marks(psychologist, session_id)) == ([(0, 0)], [(0, 0)])
    assert (await client.say(session_id, "Halo")).status == 201
    await read(client, session_id, 2)
    await read(psychologist, session_id, 1)
    await read(psychologist, session_id, 3)
    assert await marks(client, session_id) == [(2, 3)]
    assert await marks(psychologist, session_id) == [(3, 2)]
    assert [one["isRead"] for one in await client.history(session_id)] == [True, True, True]
    admin = service.person(Role.SUPER_ADMIN)
    for one in (await admin.session(session_id), *(await admin.get("/chat/sessions")).data["data"]):
        assert not {"readUpToSeq", "otherReadUpToSeq"} & one.keys(), "not for those who only oversee"


async def test_what_a_successor_reads_is_not_read_by_the_client(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    settings = service_settings(tmp_path, initial_message_lead=timedelta(minutes=10))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        first, second = await service.psychologist(), await service.psychologist("Maya")
        client = service.person()
        booking = (await book_soon(client, 30, 60, psychologistId=str(first.id))).data
        session_id = booking["chatSession"]["sessionId"]

        async def welcomed() -> bool:
            return (await client.session(session_id))["lastSeq"] == 1

        await until(welcomed)
        assert (await hand_over(first, booking, second)).status == 200
        # The welcome is the former psychologist's: to the next one, it is nothing of the other's.
        assert (await unread(second), await unread(client)) == ((0, {}), (1, {session_id: 1}))
        assert_refused(await read(first, session_id), 403, "NOT_PARTICIPANT")
        await read(second, session_id)
        assert [one["isRead"] for one in await second.history(session_id)] == [False]
        assert await marks(second, session_id) == [(1, 0)]
        at = (await read(client, session_id)).data["readAt"]
        assert [one["readAt"] for one in await second.history(session_id)] == [at]
        assert await marks(second, session_id) == [(1, 1)]
