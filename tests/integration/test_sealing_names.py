"""A database of before names were sealed is carried over by the program, which can be interrupted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from rdchat.common.clock import SystemClock
from rdchat.postgres import people, pool, sealing, sessions
from rdchat.postgres.migrate import SchemaBehindError, migrate
from rdchat.postgres.notifications import list_notifications
from tests.conftest import at_database
from tests.support.database_users import as_owner, planting
from tests.support.keys import data_keys, read_person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.domain.person import Psychologist
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from statemachine import Session

MIGRATIONS = Path(sealing.__file__).parent / "migrations"
STEPS = ["0082_sealed_names", "0083_without_readable_names"]

_AS_BEFORE = """
ALTER TABLE people DROP COLUMN sealed_name, DROP COLUMN sealed_email,
    ADD COLUMN full_name text NOT NULL DEFAULT '', ADD COLUMN email text;
ALTER TABLE people ALTER COLUMN full_name DROP DEFAULT;
UPDATE people p SET full_name = 'Kenanga ' || left(id::text, 8), email = left(id::text, 8) || '@kenanga.id'
 WHERE role = 'client';
UPDATE people p SET full_name = 'Cempaka ' || left(id::text, 8) WHERE role = 'psychologist';
INSERT INTO people (id, role, full_name, email, seen_at)
SELECT gen_random_uuid(), 'client', 'Melati ' || n, CASE WHEN n % 2 = 0 THEN n || '@melati.id' END, now()
  FROM generate_series(1, 120) AS n;
ALTER TABLE notifications DROP COLUMN psychologist_id;
DELETE FROM migrations WHERE name LIKE '0082%' OR name LIKE '0083%';
"""
_NOTIFICATION = """
INSERT INTO notifications (person_id, id, type, title, message, session_id, counseling_id, created_at)
VALUES ($1, gen_random_uuid(), $2, 'Judul', $3, $4, $5, clock_timestamp())
"""
RENAME = "UPDATE people SET full_name = 'Mawar' WHERE id = $1"
ALL = "SELECT id, full_name, email FROM people"
COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = 'people'"
_READABLE = "SELECT count(*) FROM people WHERE full_name IS NOT NULL OR email IS NOT NULL"


@pytest.fixture
async def before(database: Pool, talking: list[Session]) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """The database as a release before had it, open as the owner of its tables."""
    assert talking
    async with planting(database) as connection:
        await connection.execute(_AS_BEFORE)
        yield connection


@asynccontextmanager
async def owning(url: str, keys: DataKeys | None) -> AsyncIterator[Pool]:
    opened = await pool.connect(as_owner(url), keys=keys, size=2)
    yield opened
    await pool.close(opened)


async def test_names_are_sealed_and_nothing_readable_is_left(
    before: asyncpg.Connection[asyncpg.Record],
    database: Pool,
    database_url: str,
    postgres_server: str,
    talking: list[Session],
) -> None:
    named = {row["id"]: tuple(row)[1:] for row in await before.fetch(ALL)}
    one = talking[0]
    client, psychologist = named[one.client_id][0], named[one.psychologist_id][0]

    async def tell(person_id: UUID, kind: str, text: str) -> None:
        await before.execute(_NOTIFICATION, person_id, kind, text, one.id, one.counseling_id)

    await tell(one.client_id, "chat_enabled", f"Sesi chat dengan {psychologist} sudah dibuka.")
    await tell(one.psychologist_id, "chat_enabled", f"Sesi chat dengan {client} sudah dibuka.")
    await tell(one.client_id, "session_completed", "Sesi chat dengan Cempaka Lama telah selesai.")
    handed = f"Sesi konseling dengan {client} pada Senin dialihkan ke Cempaka Lama."
    await tell(one.psychologist_id, "counseling_reassigned", handed)
    async with owning(database_url, data_keys()) as owner:
        assert await migrate(owner) == STEPS
        assert await migrate(owner) == []
    columns = await before.fetch(COLUMNS)
    assert not {"full_name", "email"} & {row["column_name"] for row in columns}
    for person_id, (name, email) in named.items():
        read = await read_person(database, person_id)
        assert (read["full_name"], read["email"]) == (name, email)
    session = (await sessions.get_sessions(database, [one.id]))[one.id]
    assert (session.client_name, session.psychologist_name) == (client, psychologist)

    async def told(person_id: UUID) -> list[str]:
        found, _ = await list_notifications(database, person_id, before=None, limit=9, keys=data_keys())
        return [one.message for one in found]

    assert await told(one.client_id) == ["Judul", f"Sesi chat dengan {psychologist} sudah dibuka."]
    assert await told(one.psychologist_id) == ["Judul", f"Sesi chat dengan {client} sudah dibuka."]
    # Neither in what is left of the tables' former rows.
    name = await database.fetchval("SELECT current_database()")
    admin = await asyncpg.connect(at_database(postgres_server, name))
    await admin.execute("CHECKPOINT")
    for table in ("people", "notifications"):
        pages = await admin.fetchval(f"SELECT pg_read_binary_file(pg_relation_filepath('{table}'))")
        assert pages
        assert not any(word in pages for word in (b"Kenanga", b"Cempaka", b"Melati", b"melati.id"))
    await admin.close()


async def test_an_interruption_loses_no_name(
    before: asyncpg.Connection[asyncpg.Record],
    database: Pool,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealing, "_PAGE", 30)
    named = {row["id"]: tuple(row)[1:] for row in await before.fetch(ALL)}
    keys = data_keys()
    ensure, calls = keys.ensure, 0

    async def die_in_the_third_page(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise RuntimeError("killed")
        return await ensure(*arguments)

    monkeypatch.setattr(keys, "ensure", die_in_the_third_page)
    async with owning(database_url, keys) as owner:
        with pytest.raises(RuntimeError):
            await migrate(owner)
    left = await before.fetchval(_READABLE)
    assert left == len(named) - 60
    # A replica of the release before that still runs has a person's new name, and a new person.
    [renamed] = await before.fetch(
        "SELECT id FROM people WHERE full_name IS NULL AND sealed_email IS NOT NULL LIMIT 1"
    )
    await before.execute(RENAME, renamed["id"])
    named[renamed["id"]] = ("Mawar", named[renamed["id"]][1])
    assert named[renamed["id"]][1], "whose address is sealed already"
    async with owning(database_url, data_keys()) as owner:
        assert await migrate(owner) == STEPS[1:]
    for person_id, (name, email) in named.items():
        read = await read_person(database, person_id)
        assert (read["full_name"], read["email"]) == (name, email)


async def test_without_keys_nothing_is_dropped(
    before: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    readable = await before.fetchval(_READABLE)
    async with owning(database_url, None) as owner:
        with pytest.raises(SchemaBehindError, match="RDCHAT_ENCRYPTION_KEYS"):
            await migrate(owner)
    assert await before.fetchval(_READABLE) == readable
    with pytest.raises(asyncpg.RaiseError, match="not sealed yet"):
        # As an owner could run it by hand.
        await before.execute((MIGRATIONS / f"{STEPS[1]}.sql").read_text(encoding="utf-8"))


async def test_psychologists_are_listed_by_name_a_page_at_a_time(database: Pool) -> None:
    names = ["Sari", "Ana", "Dewi", "Ana", "ani", "Élise"]
    async with pool.transaction(database) as connection:
        for number, name in enumerate(names, 1):
            await people.put_psychologist(
                connection,
                UUID(int=number),
                full_name=name,
                timezone=None,
                is_active=number != 3,
                at=SystemClock().now(),
            )
    bookable = await people.list_psychologists(database)
    assert [(one.full_name, one.id.int) for one in bookable] == [
        ("Ana", 2),
        ("Ana", 4),
        ("Sari", 1),
        ("ani", 5),
        ("Élise", 6),
    ]
    seen: list[Psychologist] = []
    while page := await people.list_psychologists(
        database, after=(seen[-1].full_name, seen[-1].id) if seen else None, limit=2
    ):
        assert len(page) <= 2
        seen += page
    assert seen == bookable
    assert len(await people.list_psychologists(database, all_of_them=True)) == 6
