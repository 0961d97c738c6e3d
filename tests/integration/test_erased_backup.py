"""A backup from before an erasure, restored after it: what was erased does not open, the others' does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from rdchat.common.telemetry import Metrics
from rdchat.postgres import messages, pool
from rdchat.postgres.data_keys import DataKeys, KeyOwner
from rdchat.postgres.key_checks import check_ring
from rdchat.postgres.key_rotation import rewrap
from rdchat.security.encryption import KeyRing
from tests.support.at_rest import plaintext_in_database
from tests.support.copying import KEYS, copy_tables
from tests.support.database_users import as_owner, as_service, make_tables
from tests.support.erasing import WORDS, a_past, erase
from tests.support.keys import data_keys
from tests.support.service import ENCRYPTION_KEY

if TYPE_CHECKING:
    from tests.support.service import Service

OLD, NEW = {"test": ENCRYPTION_KEY}, {"new": b"n" * 32}


@pytest.fixture
async def restored_url(empty_url: str) -> str:
    """A second database, in which the backup is restored."""
    await make_tables(empty_url)
    return as_service(empty_url)


async def read_all(url: str, ring: dict[str, bytes]) -> dict[UUID, list[str]]:
    """What a service with these keys reads in a database, by session; nothing where it would not start."""
    keys = DataKeys(KeyRing(ring), Metrics())
    database = await pool.connect(url, keys=keys, size=2)
    try:
        async with pool.acquire(database) as connection:
            await check_ring(connection, keys.ring)
            rows = await connection.fetch(messages.MESSAGE)
            owners = {KeyOwner(row["session_id"], None) for row in rows}
            read = await messages.verified(connection, owners, rows, keys)
    finally:
        await pool.close(database)
    texts: dict[UUID, list[str]] = {}
    for message in read:
        texts.setdefault(message.session_id, []).append(message.text)
    return texts


def says(texts: dict[UUID, list[str]], session_id: str) -> bool:
    return WORDS in " ".join(texts[UUID(session_id)])


async def test_what_was_erased_does_not_come_back_with_a_backup(
    service: Service, database_url: str, restored_url: str
) -> None:
    erased, living = await a_past(service), await a_past(service, name="Ayu")
    live, copy = as_owner(database_url), as_owner(restored_url)
    await copy_tables(live, copy)
    assert says(await read_all(restored_url, OLD), erased.session_id), "a full dump has the keys in it"
    await erase(service, erased.client)

    # (a) Backups of data leave the keys out; those are backed up apart, and the latest are put back.
    await copy_tables(live, copy, only=KEYS)
    read = await read_all(restored_url, OLD)
    assert (says(read, erased.session_id), says(read, living.session_id)) == (False, True)
    # What stood there unencrypted is erased again, by the records that came with the keys.
    restored = await pool.connect(restored_url, keys=data_keys(), size=2)
    assert await plaintext_in_database(restored, "pesan-0") != []
    elsewhere = replace(service.runtime.privacy.erasures, pool=restored)
    assert (await elsewhere.repeat_all())["notes"] == 1
    named = await restored.fetch("SELECT sealed_name FROM people WHERE id = $1", erased.client.id)
    assert [row["sealed_name"] for row in named] == [None]
    await pool.close(restored)

    # (b) A full dump from before, with its own keys: until the ring's key that wraps them is given up.
    both: Any = DataKeys(KeyRing({**NEW, **OLD}), Metrics())
    owner = await pool.connect(live, size=2)
    async with pool.acquire(owner) as connection:
        await check_ring(connection, both.ring)
    await rewrap(owner, both, progress=lambda _: None)
    await pool.close(owner)
    only_new = await read_all(database_url, NEW)
    assert (says(only_new, erased.session_id), says(only_new, living.session_id)) == (False, True)
    # The keys of today, in the data of yesterday: with the new key alone, the living can be read there.
    await copy_tables(live, copy, only=KEYS)
    read = await read_all(restored_url, NEW)
    assert (says(read, erased.session_id), says(read, living.session_id)) == (False, True)


async def test_a_full_dump_opens_nothing_once_the_rings_key_is_given_up(
    service: Service, database_url: str, restored_url: str
) -> None:
    erased = await a_past(service)
    await copy_tables(as_owner(database_url), as_owner(restored_url))
    await erase(service, erased.client)
    with pytest.raises(Exception, match="the key 'test' is missing"):
        await read_all(restored_url, NEW)
    # Whatever is done to have it start: the keys in the dump are wrapped with one that is no more.
    connection = await asyncpg.connect(as_owner(restored_url))
    await connection.execute("DELETE FROM encryption_keys; UPDATE data_keys SET kid = 'new'")
    await connection.close()
    assert not says(await read_all(restored_url, NEW), erased.session_id)
