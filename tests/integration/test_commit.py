"""The group commit on a real PostgreSQL: fences, the numbers of talk, and the outbox that is read again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from config import Organizations
from config import automated_text as built_in
from rdchat.common.clock import SystemClock
from rdchat.engine.batch import SLACK
from rdchat.engine.change import ChangeBuilder
from rdchat.engine.storage import CommitResult
from rdchat.postgres import commit, outbox, pool
from rdchat.postgres.data_keys import DataKeyError
from rdchat.texts.wording import automated_text
from statemachine import EndSession, Refusal, SendMessage, step
from tests.support.keys import data_keys, read_texts
from tests.support.seed import open_sessions

if TYPE_CHECKING:
    from rdchat.engine.change import Change
    from rdchat.postgres.pool import Pool
    from statemachine import Session

LEASE = timedelta(seconds=10)
KEYS = data_keys()


@pytest.fixture
async def talking(database: Pool) -> list[Session]:
    """Three open sessions."""
    return await open_sessions(database, 3)


def talk(session: Session, *texts: str, slack: int = SLACK) -> Change:
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    builder.change.slack = slack
    for text in texts:
        command = SendMessage(uuid4(), session.client_id, text, uuid4().hex)
        decision = step(session, command, SystemClock().now())
        assert not isinstance(decision, Refusal)
        builder.add(decision, command_id=command.message_id, actor_id=session.client_id)
        session = decision.session
    return builder.change


def end(session: Session) -> Change:
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    decision = step(session, EndSession(session.client_id), SystemClock().now())
    assert not isinstance(decision, Refusal)
    builder.add(decision, command_id=uuid4(), actor_id=session.client_id)
    return builder.change


async def write(database: Pool, *changes: Change) -> dict[UUID, CommitResult]:
    return await commit.commit(database, changes, keys=KEYS, outbox_lease=LEASE)


async def texts_of(database: Pool, session: Session) -> list[tuple[int, str]]:
    async with pool.acquire(database) as connection:
        rows = await connection.fetch(
            "SELECT seq, id FROM messages WHERE session_id = $1 ORDER BY seq", session.id
        )
        texts = await read_texts(connection)
    return [(row["seq"], texts[row["id"]]) for row in rows]


async def test_talk_gets_no_place_that_it_brought_no_code_for(database: Pool, talking: list[Session]) -> None:
    first, second, third = talking
    await write(database, talk(first, "a"), talk(second, *"abcdefgh"), talk(third, *"abcdefg"))
    # One that another has spoken before has to know of it, or to have left room.
    assert await write(database, talk(first, "b", slack=0)) == {}
    assert (await write(database, talk(first, "b", slack=1)))[first.id][:2] == (3, 2)
    assert await write(database, talk(second, "i", slack=7)) == {}
    assert (await write(database, talk(third, "h", "i", slack=7)))[third.id][:2] == (3, 9)
    assert [text for _, text in await texts_of(database, third)] == list("abcdefghi")


async def test_nothing_is_written_beside_a_session_that_has_no_key(
    database: Pool, talking: list[Session]
) -> None:
    other, one, _ = talking
    without = replace(one, id=uuid4())
    with pytest.raises(DataKeyError) as refused:
        await write(database, talk(other, "Hai"), talk(without, "Halo"))
    assert refused.value.owner == without.id
    assert await database.fetchval("SELECT count(*) FROM messages") == 0


@pytest.mark.parametrize("side", ["client_id", "psychologist_id"])
async def test_a_commit_is_refused_for_people_whom_the_row_does_not_name(
    database: Pool, talking: list[Session], side: str
) -> None:
    forged, other, _ = talking
    intruder = uuid4()
    known = (
        replace(forged, client_id=intruder)
        if side == "client_id"
        else replace(forged, psychologist_id=intruder)
    )
    # As the engine would have it from a snapshot that was not its own, or before a hand-over.
    assert await write(database, talk(known, "Halo"), talk(other, "Hai")) == {other.id: CommitResult(2, 1)}
    assert await write(database, end(known)) == {}
    assert await texts_of(database, forged) == []


async def test_nothing_is_written_for_people_who_were_put_into_the_row(
    database: Pool, talking: list[Session]
) -> None:
    forged, other, _ = talking
    await database.execute(
        "UPDATE chat_sessions SET client_id = $2 WHERE id = $1", forged.id, other.client_id
    )
    known = replace(forged, client_id=other.client_id)
    for change in (talk(known, "Halo"), end(known)):
        with pytest.raises(DataKeyError):
            await write(database, change)
    assert await database.fetchval("SELECT count(*) FROM messages") == 0


async def test_talk_decided_on_the_same_version_is_numbered_one_behind_the_other(
    database: Pool, talking: list[Session]
) -> None:
    first, second, _ = talking
    one = await write(database, talk(first, "a", "b"), talk(second, "x"))
    other = await write(database, talk(first, "c", "d", "e"), talk(second, "y"))
    assert one[first.id][:2] == (2, 2)
    assert other[first.id][:2] == (3, 5)
    assert await texts_of(database, first) == list(enumerate("abcde", 1))
    assert await texts_of(database, second) == [(1, "x"), (2, "y")]


async def test_talk_at_the_same_time_never_loses_and_leaves_no_gap(
    database: Pool, talking: list[Session]
) -> None:
    commits = 40
    results = await asyncio.gather(
        *(
            write(database, *(talk(session, f"{n}", slack=commits) for session in talking))
            for n in range(commits)
        )
    )
    for session in talking:
        said = await texts_of(database, session)
        assert [seq for seq, _ in said] == list(range(1, commits + 1))
        assert sorted(int(text) for _, text in said) == list(range(commits))
        assert sorted(won[session.id].last_seq for won in results) == list(range(1, commits + 1))


async def test_talk_decided_before_an_end_is_not_written(database: Pool, talking: list[Session]) -> None:
    ended, neighbour, _ = talking
    late = talk(ended, "zu spät")
    assert ended.id in await write(database, end(ended))
    won = await write(database, late, talk(neighbour, "hi"))
    assert set(won) == {neighbour.id}
    assert [text for _, text in await texts_of(database, ended)] == [built_in("auto_end", "id")]


async def test_an_end_decided_before_talk_has_to_be_decided_again(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    late = end(session)
    await write(database, talk(session, "noch da?"))
    assert await write(database, late) == {}


async def test_of_an_attempt_that_is_made_again_only_one_is_written(
    database: Pool, talking: list[Session]
) -> None:
    """The connection was lost, and the first attempt arrives after the second."""
    session = talking[0]
    first = talk(session, "a")
    again = talk(session, "a")
    again.again = True
    assert session.id in await write(database, again)
    assert await write(database, first) == {}
    assert len(await texts_of(database, session)) == 1


async def test_whoever_takes_over_talk_publishes_the_same_events(
    database: Pool, talking: list[Session]
) -> None:
    session = talking[0]
    await write(database, talk(session, "davor"))
    # Decided on an old version, and so large that it makes several groups.
    change = talk(session, "eins", "😊" * 4000, "z" * 40_000, "drei")
    change.renumber(*(await write(database, change))[session.id][:2])
    assert change.outbox_entry is not None
    async with pool.acquire(database) as connection:
        await connection.execute("UPDATE outbox SET lease_until = now() - interval '1 second'")
    taken = await outbox.take_over_entries(database, lease=LEASE, limit=10, keys=KEYS)
    assert [entry.version for entry in taken] == [2, 3]
    assert taken[1] == change.outbox_entry
    assert len({event.base for event in taken[1].events}) > 1
    assert [orjson.loads(event.data)["seq"] for event in taken[1].events] == [2, 3, 4, 5]


async def test_a_repeated_client_message_id_is_refused(database: Pool, talking: list[Session]) -> None:
    change = talk(talking[0], "a")
    await write(database, change)
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(database, change)
