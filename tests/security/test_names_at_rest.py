"""What stores hold of people: no name that could be read, and none at all once a key is destroyed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import redis.asyncio

from rdchat.domain.person import Role
from rdchat.postgres import people
from rdchat.texts.wording import ERASED_NAMES
from tests.support.database_users import as_owner, planting
from tests.support.forms import photo, upload
from tests.support.service import Person, Service, service_settings
from tests.support.sessions import opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOUR = timedelta(hours=1)
#: Words of names and addresses that occur nowhere else.
WORDS = ("Kenanga", "Cempaka", "Melati", "Anggrek", "kenanga.example", "cempaka.example")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
ERASED = ERASED_NAMES["id"]


@pytest.fixture
async def told(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A replica whose webhooks are refused, so that they wait in PostgreSQL."""
    settings = replace(
        service_settings(tmp_path),
        webhook_urls=("http://127.0.0.1:9/",),
        webhook_secrets=(b"s" * 32,),
        webhook_allow_private=True,
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


def named(service: Service, person: Person, name: str, email: str) -> Person:
    caller = replace(person.caller, full_name=name, email=email)
    token = service.runtime.tokens.issue(caller, lifetime=2 * HOUR)
    return Person(service.client, service.base, caller, token)


async def everything(service: Service) -> tuple[Person, Person, Person, str]:
    """Let people do what leaves something behind.

    Return a client, a psychologist, an administrator and a session.
    """
    admin = service.person(Role.SUPER_ADMIN, "Melati Admin")
    client, psychologist, session_id = await opened(service, lasts=600)
    client = named(service, client, "Kenanga Putri", "putri@kenanga.example")
    psychologist = named(service, psychologist, "Cempaka", "sari@cempaka.example")
    reply = await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Dr. Cempaka"})
    assert reply.status == 200
    other = await service.psychologist("Anggrek")
    for one, text in ((client, "Halo, saya Kenanga"), (psychologist, "Halo, saya Cempaka")):
        assert (await one.say(session_id, text, str(uuid4()))).status == 201
    assert (await upload(client, session_id, photo(), "Kenanga.png")).status == 201
    start = in_days(20)
    booked = await client.call(
        "POST",
        "/counselings/book",
        json={
            "startsAt": start.isoformat(),
            "endsAt": (start + HOUR).isoformat(),
            "method": "chat",
            "psychologistId": str(psychologist.id),
            "notes": "Saya Kenanga",
        },
        headers={"Idempotency-Key": str(uuid4())},
    )
    assert booked.status == 201, booked.json
    counseling_id = booked.data["id"]
    reassigned = {"psychologistId": str(other.id)}
    assert (await admin.put(f"/counselings/{counseling_id}/reassign", reassigned)).status == 200
    reason = {"reason": "Kenanga sakit"}
    assert (await client.put(f"/counselings/{counseling_id}/cancel", reason)).status == 200
    note = {"text": "Kenanga tidur lebih baik"}
    assert (await psychologist.put(f"/clients/{client.id}/notes", note)).status == 200
    return client, psychologist, admin, session_id


async def dumped(url: str) -> dict[str, str]:
    """Read each row of each table as text."""
    connection = await asyncpg.connect(as_owner(url))
    tables = [row[0] for row in await connection.fetch(TABLES)]
    rows = {
        table: "\n".join(
            row[0]
            for row in await connection.fetch(f'SELECT t::text FROM "{table}" t')  # noqa: S608 - a table of ours
        )
        for table in tables
    }
    await connection.close()
    return rows


async def kept_in(url: str) -> dict[str, str]:
    """Read each value in Redis as text."""
    client = redis.asyncio.Redis.from_url(url)
    readers: dict[bytes, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"stream": client.xrange,
    }
    values = {}
    keys: Any = await client.keys("*")
    for key in keys:
        kind: Any = await client.type(key)
        values[key.decode("latin-1")] = str(await readers[kind](key))
    await client.aclose()
    return values


async def test_no_name_can_be_read_in_a_store(told: Service, database_url: str, redis_url: str) -> None:
    client, _, _, session_id = await everything(told)
    # As after a quiet while, when the session has its snapshot.
    effects: Any = told.runtime.reassigning.changes.effects
    await effects._save_unchanged_since(float("inf"))  # noqa: SLF001 - without waiting for it
    rows, values = await dumped(database_url), await kept_in(redis_url)
    assert all(rows[table] for table in ("people", "notifications", "webhook_deliveries", "operator_actions"))
    assert f"rdchat:session:{{{UUID(session_id).hex}}}" in values
    for where, text in (*rows.items(), *values.items()):
        for word in WORDS:
            # What PostgreSQL shows of bytes is hexadecimal.
            assert word.lower() not in text.lower(), (where, word)
            assert word.encode().hex() not in text, (where, word)
    assert (await client.session(session_id))["client"]["fullName"] == "Kenanga Putri"
    found = (await client.get("/notifications")).data["data"]
    assert any("Dr. Cempaka" in one["message"] for one in found)


async def erase(service: Service, person: Person) -> None:
    """Do what an erasure does of a name: destroy the key, blank the row, have sessions read again."""
    async with planting(service.runtime.pool) as connection, connection.transaction():
        await connection.execute("DELETE FROM data_keys WHERE owner = $1", person.id)
        await connection.execute(
            "UPDATE people SET sealed_name = NULL, sealed_email = NULL WHERE id = $1", person.id
        )
        await connection.execute(people._RENEW_SESSIONS, person.id)  # noqa: SLF001 - as a rename does
    service.runtime.chat.keys.forget(person.id)


async def shown(reader: Person, admin: Person, session_id: str) -> str:
    """Read what shows names, as text. Nothing of it fails."""
    replies = [
        await reader.get(f"/chat/sessions/{session_id}"),
        await reader.get("/chat/sessions"),
        await reader.get("/chat/sessions", order="activity"),
        await reader.get("/chat/history", sessionId=session_id),
        await reader.get(f"/chat/sessions/{session_id}/transcript", format="txt"),
        await reader.get(f"/chat/sessions/{session_id}/transcript", format="html"),
        await reader.get("/counselings"),
        await reader.get("/notifications"),
        await reader.get("/psychologists"),
        await admin.get("/operations/overview"),
        await admin.get("/operations/actions"),
        await admin.get("/chat/sessions"),
        await admin.get("/counselings"),
        await admin.get("/reports/organization", **{"from": "2026-01-01", "to": "2026-12-31"}),
        await reader.get("/slots", **{"from": in_days(1).date(), "to": in_days(3).date()}),
    ]
    for reply in replies:
        assert reply.status == 200, reply.json
    return "\n".join(str(reply.json) for reply in replies)


@pytest.mark.parametrize("is_blanked", [True, False])
async def test_who_is_erased_is_shown_under_no_name(service: Service, *, is_blanked: bool) -> None:
    """Also where an old copy of the rows has come back, of which the key is gone."""
    client, psychologist, admin, session_id = await everything(service)
    before = await shown(psychologist, admin, session_id)
    assert "Kenanga Putri" in before
    assert ERASED not in before
    sealed = await service.runtime.pool.fetchval("SELECT sealed_name FROM people WHERE id = $1", client.id)
    await erase(service, client)
    if not is_blanked:
        await service.runtime.pool.execute(
            "UPDATE people SET sealed_name = $2 WHERE id = $1", client.id, sealed
        )
    after = await shown(psychologist, admin, session_id)
    assert "Kenanga Putri" not in after
    assert ERASED in after
    # The other's obligations stay, and so does the chat.
    said = await psychologist.say(session_id, "Apakah Anda masih di sini?")
    assert (said.status, said.data["sender"]["fullName"]) == (201, "Dr. Cempaka")
    await erase(service, psychologist)
    assert "Dr. Cempaka" not in await shown(psychologist, admin, session_id)
    listed = await admin.get("/psychologists")
    assert ERASED in {one["fullName"] for one in listed.data["data"]}
