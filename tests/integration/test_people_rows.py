"""People whom a replica sees for the first time: their keys and their sealed names, in one statement."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from rdchat.common.clock import SystemClock
from rdchat.domain.person import Caller, Role
from rdchat.postgres import people, pool
from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.names import names_in, seal_name
from tests.support.database_users import planting
from tests.support.keys import data_keys, read_person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rdchat.postgres.pool import Pool


def callers(count: int, name: str = "Kenanga") -> list[Caller]:
    return [Caller(uuid4(), Role.CLIENT, f"{name} {number}", f"{number}@x.id") for number in range(count)]


async def shown(database: Pool, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Read names as a replica does that has seen none of them."""
    async with pool.acquire(database) as connection:
        rows = await connection.fetch("SELECT id, sealed_name FROM people WHERE id = ANY($1)", ids)
        return await names_in(connection, data_keys(), rows, [("id", "sealed_name")])


@asynccontextmanager
async def counted(url: str, said: list[str]) -> AsyncIterator[Pool]:
    """A replica's pool that has seen no one of the test, and its statements."""
    opened = await pool.connect(url, keys=data_keys(), size=1, kept=1)
    # What types parameters have is asked once.
    await people.insert_new(opened, callers(1), SystemClock().now())
    async with pool.acquire(opened) as connection:
        connection.add_query_logger(lambda record: said.append(record.query))
    yield opened
    await pool.close(opened)


async def test_all_who_are_new_cost_one_statement(database_url: str) -> None:
    said: list[str] = []
    new, now = callers(40), SystemClock().now()
    async with counted(database_url, said) as one:
        assert await people.insert_new(one, new, now) == set()
    assert len(said) == 1
    # Those who say what is known, to a replica that has seen none of them, cost one as well.
    async with counted(database_url, said) as other:
        assert await people.insert_new(other, new, now) == set()
        assert len(said) == 2
        assert await shown(other, [one.id for one in new]) == {one.id: one.full_name for one in new}


async def test_replicas_that_see_the_same_people_at_once_agree_on_their_keys(
    database: Pool, database_url: str
) -> None:
    new, now = callers(30), SystemClock().now()
    replicas = [await pool.connect(database_url, keys=data_keys()) for _ in range(4)]

    async def see(replica: Pool, order: list[Caller]) -> None:
        for caller_id in await people.insert_new(replica, order, now):
            [caller] = [one for one in order if one.id == caller_id]
            async with pool.transaction(replica) as connection:
                await people.upsert_person(connection, caller, now)

    await asyncio.gather(
        *(see(replica, new if number % 2 else new[::-1]) for number, replica in enumerate(replicas))
    )
    assert await shown(database, [one.id for one in new]) == {one.id: one.full_name for one in new}
    ids = [one.id for one in new]
    assert await database.fetchval("SELECT count(*) FROM data_keys WHERE owner = ANY($1)", ids) == len(new)
    for replica in replicas:
        await pool.close(replica)


async def test_only_what_differs_is_news(database: Pool) -> None:
    [same, renamed, moved, silent], now = callers(4), SystemClock().now()
    await people.insert_new(database, [same, renamed, moved, silent], now)
    again = [
        same,
        Caller(renamed.id, Role.CLIENT, "Melati", renamed.email),
        Caller(moved.id, Role.CLIENT, moved.full_name, "new@x.id"),
        # A token that says nothing of an address takes none away.
        Caller(silent.id, Role.CLIENT, silent.full_name),
    ]
    assert await people.insert_new(database, again, now) == {renamed.id, moved.id}


async def test_who_was_erased_is_known_again_with_a_new_key_when_they_come(database: Pool) -> None:
    [one], now = callers(1), SystemClock().now()
    await people.insert_new(database, [one], now)
    async with planting(database) as owner:
        await owner.execute("DELETE FROM data_keys WHERE owner = $1", one.id)
        await owner.execute("UPDATE people SET sealed_name = NULL, sealed_email = NULL WHERE id = $1", one.id)
    assert await shown(database, [one.id]) == {}
    assert await people.insert_new(database, [one], now) == {one.id}
    async with pool.transaction(database) as connection:
        await people.upsert_person(connection, one, now)
    assert (await read_person(database, one.id))["full_name"] == one.full_name


async def test_a_name_does_not_open_as_another_persons(database: Pool) -> None:
    [one, other], now = callers(2), SystemClock().now()
    await people.insert_new(database, [one, other], now)
    await database.execute(
        "UPDATE people SET sealed_name = (SELECT sealed_name FROM people WHERE id = $2) WHERE id = $1",
        one.id,
        other.id,
    )
    assert await shown(database, [one.id, other.id]) == {other.id: other.full_name}


async def test_a_name_is_sealed_in_the_same_bytes_and_each_persons_in_others(database: Pool) -> None:
    keys = data_keys()
    ids = [uuid4(), uuid4()]
    async with pool.acquire(database) as connection:
        found = await keys.ensure(connection, map(person_owner, ids))
    sealed = {seal_name(found[one], one, "Sari") for one in ids for _ in range(3)}
    assert len(sealed) == 2
    assert len({one[:13] for one in sealed} | {seal_name(found[ids[0]], ids[0], "Sara")[:13]}) == 3
