"""Data keys in a real PostgreSQL: who has which, for whom it opens, and changing the key that wraps them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.postgres import pool
from rdchat.postgres.data_keys import DataKeyError, DataKeys, KeyOwner, person_owner, session_owner
from rdchat.postgres.key_checks import WrongKeyError, check_ring, find_wrong_keys
from rdchat.postgres.key_rotation import KeyUse, Rewrapped, list_key_uses, rewrap
from rdchat.security.encryption import Encryptor, KeyRing
from tests.support.database_users import as_owner
from tests.support.keys import data_keys, read_texts
from tests.support.seed import open_sessions
from tests.support.service import ENCRYPTION_KEY

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool
    from statemachine import Session

OLD, NEW = {"test": ENCRYPTION_KEY}, {"new": b"n" * 32}


def keys_of(ring: dict[str, bytes]) -> DataKeys:
    return DataKeys(KeyRing(ring), Metrics())


def same(one: Encryptor, other: Encryptor) -> bool:
    return other.decrypt(one.encrypt(b"ya", b"c"), b"c") == b"ya"


@pytest.fixture
async def talking(database: Pool) -> list[Session]:
    return await open_sessions(database, 3)


async def put_into(database: Pool, session_id: UUID, column: str, person_id: UUID) -> None:
    await database.execute(
        f"UPDATE chat_sessions SET {column} = $2 WHERE id = $1",  # noqa: S608 - a column's name, ours
        session_id,
        person_id,
    )


async def a_psychologist(database: Pool) -> UUID:
    person_id = uuid4()
    await database.execute(
        "INSERT INTO people (id, role, seen_at) VALUES ($1, 'psychologist', now())",
        person_id,
    )
    await database.execute(
        "INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at) "
        "VALUES ($1, 'UTC', true, now(), now())",
        person_id,
    )
    return person_id


async def wrapped(database: Pool) -> dict[UUID, str]:
    return {row["owner"]: row["kid"] for row in await database.fetch("SELECT owner, kid FROM data_keys")}


async def test_an_owner_has_one_key_whoever_makes_it(database: Pool) -> None:
    person = person_owner(uuid4())

    async def made() -> Encryptor:
        async with pool.acquire(database) as connection:
            return await data_keys().get_or_create(connection, person)

    first, *others = await asyncio.gather(*(made() for _ in range(8)))
    assert all(same(first, one) for one in others)
    assert await wrapped(database) == {person.id: "test"}


async def test_a_sessions_key_opens_for_its_two_people_alone(database: Pool, talking: list[Session]) -> None:
    session, other, _ = talking
    async with pool.acquire(database) as connection:
        keys = data_keys()
        own = await keys.get(connection, session_owner(session))
        assert same(own, await data_keys().get(connection, KeyOwner(session.id, None)))
        foreign = await keys.get(connection, session_owner(other))
        with pytest.raises(Exception, match="another context"):
            same(own, foreign)
        # Whatever the caller takes for the two: it is the row that counts.
        assert same(own, await keys.get(connection, KeyOwner(session.id, (uuid4(), uuid4()))))
        for column, intruder in (("client_id", other.client_id), ("psychologist_id", None)):
            was = getattr(session, column)
            await put_into(database, session.id, column, intruder or await a_psychologist(database))
            with pytest.raises(DataKeyError):
                await data_keys().get(connection, KeyOwner(session.id, None))
            await put_into(database, session.id, column, was)
        with pytest.raises(DataKeyError):
            await keys.get(connection, KeyOwner(uuid4(), session.participants))
        assert same(own, await keys.get(connection, session_owner(session))), "it is still at hand"


async def test_a_key_can_be_made_before_the_row_of_its_owner(database: Pool) -> None:
    owner = KeyOwner(uuid4(), (uuid4(), uuid4()))
    async with pool.transaction(database) as connection:
        own = await data_keys().get_or_create(connection, owner)
        assert same(own, await data_keys().get_or_create(connection, owner))


async def test_a_key_that_vanishes_with_its_transaction_is_not_kept_at_hand(database: Pool) -> None:
    keys, person = data_keys(), person_owner(uuid4())
    async with pool.acquire(database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        lost = await keys.get_or_create(connection, person)
        assert same(lost, await keys.get_or_create(connection, person))
        await transaction.rollback()
        kept = await keys.get_or_create(connection, person)
        assert same(kept, await data_keys().get(connection, person))
        with pytest.raises(Exception, match="another context"):
            same(lost, kept)


async def test_a_hand_over_wraps_the_key_for_the_new_people(database: Pool, talking: list[Session]) -> None:
    session, colleague = talking[0], await a_psychologist(database)
    after = KeyOwner(session.id, (session.client_id, colleague))
    keys, elsewhere = data_keys(), data_keys()
    async with pool.transaction(database) as connection:
        own = await elsewhere.get(connection, session_owner(session))
        await keys.hand_over(connection, session_owner(session), after.people or ())
        await connection.execute(
            "UPDATE chat_sessions SET psychologist_id = $2 WHERE id = $1", session.id, colleague
        )
    async with pool.acquire(database) as connection:
        for one in (elsewhere, data_keys()):
            assert same(own, await one.get(connection, after))
    # Put back without the key, the one who had it reads nothing any more.
    await put_into(database, session.id, "psychologist_id", session.psychologist_id)
    async with pool.acquire(database) as connection:
        with pytest.raises(DataKeyError):
            await data_keys().get(connection, session_owner(session))
    with pytest.raises(DataKeyError):
        async with pool.transaction(database) as connection:
            await keys.hand_over(connection, session_owner(session), after.people or ())


async def test_a_key_of_the_ring_that_others_have_is_missed_not_taken_for_a_forgery(
    database: Pool, talking: list[Session]
) -> None:
    owner = session_owner(talking[0])
    await database.execute("UPDATE data_keys SET kid = 'newer'")
    async with pool.acquire(database) as connection:
        with pytest.raises(DataKeyError):
            await data_keys().get(connection, owner)
        await database.execute("INSERT INTO encryption_keys (kid, check_value) VALUES ('newer', '')")
        with pytest.raises(UnavailableError):
            await data_keys().get(connection, owner)


# ---- keys of the ring -------------------------------------------------------------------------------------


async def test_a_replica_with_a_wrong_or_missing_key_does_not_start(
    database: Pool, talking: list[Session]
) -> None:
    assert talking
    async with pool.acquire(database) as connection:
        await check_ring(connection, KeyRing(OLD))
        await check_ring(connection, KeyRing({**NEW, **OLD}))
        with pytest.raises(WrongKeyError, match="the key 'test' is missing"):
            await check_ring(connection, KeyRing(NEW))
        with pytest.raises(WrongKeyError, match="the key 'new' is not the one"):
            await check_ring(connection, KeyRing({"test": ENCRYPTION_KEY, "new": b"x" * 32}))
        # One that wraps nothing yet is missed by no one.
        assert await find_wrong_keys(connection, KeyRing(OLD)) == []


async def test_of_two_keys_of_one_name_one_is_refused(database: Pool) -> None:
    async def start(key: bytes) -> bool:
        async with pool.acquire(database) as connection:
            try:
                await check_ring(connection, KeyRing({"main": key}))
            except WrongKeyError:
                return False
            return True

    assert sorted(await asyncio.gather(start(b"a" * 32), start(b"b" * 32))) == [False, True]


async def test_data_keys_are_wrapped_again_while_people_talk(
    database: Pool, database_url: str, talking: list[Session]
) -> None:
    old, both = keys_of(OLD), keys_of({**NEW, **OLD})
    async with pool.acquire(database) as connection:
        await check_ring(connection, both.ring)
        before = {one.id: await old.get(connection, session_owner(one)) for one in talking}
    assert [(one.kid, one.state, one.data_keys) for one in await list_key_uses(database, both)] == [
        ("new", "current", 0),
        ("test", "held", 7),
    ]
    told: list[int] = []
    assert await rewrap(database, both, progress=told.append) == Rewrapped(7, 0)
    assert told[-1] == 7
    assert set((await wrapped(database)).values()) == {"new"}
    # Called again, there is nothing to do; a replica that has only the new key reads what was written.
    assert await rewrap(database, both, progress=told.append) == Rewrapped(0, 0)
    only_new = keys_of(NEW)
    async with pool.acquire(database) as connection:
        await check_ring(connection, only_new.ring)
        for one in talking:
            assert same(before[one.id], await only_new.get(connection, session_owner(one)))
    # The service's role forgets no key; the owner does.
    assert await rewrap(database, only_new, progress=told.append) == Rewrapped(0, 0)
    assert {one.kid for one in await list_key_uses(database, only_new)} == {"new", "test"}
    owner = await pool.connect(as_owner(database_url))
    assert await rewrap(owner, only_new, progress=told.append) == Rewrapped(0, 0)
    await pool.close(owner)
    [use] = await list_key_uses(database, only_new)
    assert (use.kid, use.state, use.data_keys) == ("new", "current", 7)


async def test_what_does_not_open_stays_and_is_counted(database: Pool, talking: list[Session]) -> None:
    await database.execute("UPDATE data_keys SET wrapped = $2 WHERE owner = $1", talking[0].id, bytes(60))
    both = keys_of({**NEW, **OLD})
    assert await rewrap(database, both, progress=lambda _: None) == Rewrapped(6, 1)
    kids = await wrapped(database)
    assert kids.pop(talking[0].id) == "test"
    assert set(kids.values()) == {"new"}


async def test_all_pages_come(database: Pool) -> None:
    keys = data_keys()
    async with pool.acquire(database) as connection:
        await keys.create(connection, [person_owner(uuid4()) for _ in range(1_203)])
    told: list[int] = []
    assert await rewrap(database, keys_of({**NEW, **OLD}), progress=told.append) == Rewrapped(1_203, 0)
    assert told == [500, 1_000, 1_203]


async def test_the_states_of_keys_are_told(database: Pool, talking: list[Session]) -> None:
    assert talking
    async with pool.acquire(database) as connection:
        await check_ring(connection, KeyRing(OLD))
    states = {one.kid: one.state for one in await list_key_uses(database, keys_of(NEW))}
    assert states == {"test": "missing", "new": "current"}
    [use] = await list_key_uses(database, keys_of({"test": b"x" * 32}))
    assert isinstance(use, KeyUse)
    assert (use.state, use.data_keys) == ("wrong", 7)
    assert await read_texts(database) == {}
