"""What people say and what the service keeps secret is found nowhere: neither in stores nor in logs.

A short session is played with canaries in every field, on real stores. Then all that is left behind is taken
and searched, in every form that a value may have there. Channels are encrypted against Ably.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg
import pytest
import redis.asyncio
import structlog

from rdchat.common.telemetry import configure_logging
from rdchat.domain.person import Caller, Role
from tests.support.canaries import Canaries, Canary, search
from tests.support.database_users import planting
from tests.support.forms import photo, upload
from tests.support.remains import PostgresRemains, RedisRemains, files_below, flat
from tests.support.service import Person, Service, service_settings
from tests.support.sessions import reaches
from tests.support.soon import in_days, session_soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from config import Settings
    from tests.support.attacks import Attacks

HOUR: Final = timedelta(hours=1)


def settings_with(canaries: Canaries, folder: Path) -> Settings:
    return service_settings(
        folder,
        ably_cipher=True,
        jwt_secret=canaries["JWT secret"],
        encryption_keys={"canary": canaries.key("encryption key", secrets.token_bytes(32))},
        ably_key=f"rdchat.test:{canaries['Ably secret']}",
        # No one listens there: what could not be delivered stays.
        webhook_urls=("http://127.0.0.1:9/",),
        webhook_secrets=(canaries.key("webhook secret", secrets.token_bytes(32)),),
        webhook_allow_private=True,
    )


def person(service: Service, role: Role, name: str, email: str) -> Person:
    caller = Caller(uuid4(), role, name, email=email)
    return Person(service.client, service.base, caller, service.runtime.tokens.issue(caller, lifetime=HOUR))


async def play(service: Service, canaries: Canaries) -> tuple[Person, str]:
    """Chat, write and refuse with a canary in every field; return the client and the session's id."""
    client = person(
        service, Role.CLIENT, f"Budi {canaries['client name']}", f"{canaries['e-mail']}@example.org"
    )
    psychologist = await service.psychologist(f"Sari {canaries['psychologist name']}")
    canaries.key("token", client.token.rpartition(".")[2].encode())
    session_id = await session_soon(
        client, 1, 600, psychologistId=str(psychologist.id), notes=f"Saya {canaries['booking note']}"
    )
    await reaches(client, session_id, "active")
    for one in (client, psychologist):
        said = await one.call(
            "POST",
            "/chat/messages",
            json={"sessionId": session_id, "message": f"Halo {canaries['message']}", "messageType": "text"},
            headers={"Idempotency-Key": uuid4().hex},
        )
        assert said.status == 201, said.json
    # As long as to be compressed, if anything was stored as it is.
    assert (await client.say(session_id, f"{canaries['long message']} {'a' * 3000}")).status == 201
    name = f"{canaries['file name']}.png"
    sent = await upload(client, session_id, photo(), name, caption=f"Ini {canaries['caption']}")
    assert sent.status == 201, sent.json
    content = f"Catatan saya: {canaries['file content']}\n".encode()
    assert (await upload(client, session_id, content, "catatan.txt")).status == 201
    title = canaries["quick reply"]
    answers = [
        await psychologist.put(f"/clients/{client.id}/notes", {"text": f"Klien {canaries['private note']}"}),
        await psychologist.post("/quick-replies", {"title": title[:20], "text": f"Baik {title}"}),
    ]
    booked = await client.book(in_days(3), in_days(3) + HOUR, psychologistId=str(psychologist.id))
    path = f"/counselings/{booked.data['id']}/cancel"
    answers.append(await client.put(path, {"reason": f"Karena {canaries['cancel reason']}"}))
    assert [answer.status for answer in answers] == [200, 201, 200], [answer.json for answer in answers]
    await administer(service, psychologist, canaries)
    await refused(client, session_id, canaries)
    for one in (client, psychologist):
        assert canaries["message"] in str(await one.history(session_id))
    return client, session_id


async def administer(service: Service, psychologist: Person, canaries: Canaries) -> None:
    """Let an administrator do something and say why."""
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    changed = await admin.call(
        "PUT",
        f"/psychologists/{psychologist.id}",
        json={"fullName": psychologist.caller.full_name, "timezone": "Asia/Jakarta"},
        headers={"Audit-Reason": f"Karena {canaries['audit reason']}"},
    )
    assert changed.status == 200, changed.json


async def refused(client: Person, session_id: str, canaries: Canaries) -> None:
    """Have refused what people wrote, in every way that has a log, a metric or an answer that is kept."""
    word = canaries["refused text"]
    text = f"Tolong {word}"
    message = {"sessionId": session_id, "message": text, "messageType": "text"}
    altered = Person(client._client, client._base, client.caller, client.token[:-8] + "A" * 8)  # noqa: SLF001
    attempts = [
        await client.say(session_id, text + "x" * 100_000),
        await client.say(str(uuid4()), text),
        await client.post("/chat/messages", message | {"message": {"a": text}}),
        await client.post("/chat/messages", message | {"sessionId": text}),
        await client.call("POST", "/chat/messages", data=f'{{"message": "{text}'.encode()),
        await upload(client, session_id, b"MZ\x00\x01" + text.encode(), f"{word}.exe", caption=text),
        await client.put(f"/counselings/{uuid4()}/cancel", {"reason": text}),
        await client.post("/quick-replies", {"title": text, "text": text}),
        await client.get(f"/chat/{word}", cursor=text),
        await altered.say(session_id, text),
    ]
    assert {answer.status // 100 for answer in attempts} == {4}, [answer.json for answer in attempts]


async def spoil(service: Service, client: Person, session_id: str) -> None:
    """Alter a message in the database, so that an alarm is raised."""
    async with planting(service.runtime.pool) as owner:
        await owner.execute(
            "UPDATE messages SET body = body || '\\x00' WHERE session_id = $1", UUID(session_id)
        )
    assert len(await client.history(session_id)) > 0


async def be_quiet(service: Service) -> None:
    """Let all sessions be saved in Redis, as after a minute and a half."""
    effects: Any = service.runtime.engine._effects  # noqa: SLF001
    await effects._save_unchanged_since(float("inf"))  # noqa: SLF001


def superuser_of(server: str, database_url: str) -> str:
    """Return the address of a test's database for the superuser."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    head, question, options = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{question}{options}"


@dataclass
class Stores:
    """The addresses of a test's own stores, and what they will have left of all that begins now."""

    database_url: str
    superuser_url: str
    redis_url: str
    in_postgres: PostgresRemains
    in_redis: RedisRemains

    async def take(self) -> dict[str, bytes]:
        return await self.in_postgres.take() | await self.in_redis.take()


@pytest.fixture
async def stores(postgres_server: str, database_url: str, redis_url: str) -> AsyncIterator[Stores]:
    superuser_url = superuser_of(postgres_server, database_url)
    async with (
        PostgresRemains.watching(superuser_url) as postgres,
        RedisRemains.watching(redis_url) as redis_,
    ):
        yield Stores(database_url, superuser_url, redis_url, postgres, redis_)


async def test_nothing_that_was_said_or_kept_secret_is_readable(
    stores: Stores,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    attacks: Attacks,
) -> None:
    canaries = Canaries()
    settings = settings_with(canaries, tmp_path)
    before = structlog.get_config()
    configure_logging("json")
    try:
        async with Service.running(
            settings, database_url=stores.database_url, redis_url=stores.redis_url
        ) as service:
            client, session_id = await play(service, canaries)
            await spoil(service, client, session_id)
            await be_quiet(service)
            async with service.client.get(f"{service.base}/metrics") as answer:
                places = {"metrics": await answer.read()}
            assert service.runtime.ably_local is not None
            places["Ably"] = b"\n".join(flat(list(service.runtime.ably_local.published)))
            places |= await stores.take()
    finally:
        structlog.configure(**before)
    logged = capsys.readouterr()
    # Ours, and those of libraries.
    log = logged.out + logged.err + caplog.text
    places |= {"log": log.encode(), "files": files_below(tmp_path)}
    found = search(canaries.all.values(), places)
    readable = [(kind, place) for kind, where in found.items() for place in where]
    attacks.count(
        "canaries searched for in stores, logs and at Ably",
        tried=len(canaries.all) * len(places),
        through=readable,
    )
    # Each place was really looked into: what is no secret is there.
    session = Canary("session", UUID(session_id).bytes)
    seen = {place for places_of in search([session], places).values() for place in places_of}
    text = {place for place, content in places.items() if session_id.encode() in content}
    assert {"dump", "tables", "WAL", "Redis", "AOF", "log", "Ably"} <= seen | text
    assert b'route="/api/v1/chat/messages"' in places["metrics"]
    assert b"attachments" in places["files"]
    assert b"not as it was written" in places["log"]


async def test_what_is_planted_is_found_in_every_place_and_form(stores: Stores, tmp_path: Path) -> None:
    """The search above can fail: also where a value is compressed, encoded, or deleted at once."""
    canaries = Canaries()
    await plant_in_postgres(stores.superuser_url, canaries)
    await plant_in_redis(stores.redis_url, canaries)
    (tmp_path / canaries["name of a file"]).write_text(canaries["in a file"])
    said = json.dumps({"message": canaries["event"]})
    event = {"data": said, "more": [canaries["bytes of an event"].encode()]}
    places = await stores.take()
    places |= {"files": files_below(tmp_path), "Ably": b"".join(flat([("channel", event)]))}
    expected = {
        **dict.fromkeys(("text", "hex", "base64 0", "base64 1", "base64 2", "json"), "dump tables WAL"),
        **dict.fromkeys(("bytes", "base64 in bytes", "UTF-16", "compressed"), "dump tables WAL"),
        "deleted": "tables WAL",
        **dict.fromkeys(("key", "field", "compressed in Redis"), "Redis AOF"),
        "deleted from Redis": "AOF",
        **dict.fromkeys(("name of a file", "in a file"), "files"),
        **dict.fromkeys(("event", "bytes of an event"), "Ably"),
    }
    found = {kind: set(where) for kind, where in search(canaries.all.values(), places).items()}
    assert found == {kind: set(where.split()) for kind, where in expected.items()}


async def plant_in_postgres(url: str, canaries: Canaries) -> None:
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE TABLE planted (text text STORAGE MAIN, bytes bytea, json jsonb)")
    texts = [
        f"Halo {canaries['text']}.",
        canaries["hex"].encode().hex(),
        *(
            base64.b64encode(b"x" * shift + canaries[f"base64 {shift}"].encode()).decode()
            for shift in range(3)
        ),
        f"aab{canaries['compressed']}{'ab' * 4000}",
        canaries["deleted"],
    ]
    await owner.executemany("INSERT INTO planted (text) VALUES ($1)", [(text,) for text in texts])
    await owner.execute("DELETE FROM planted WHERE text = $1", canaries["deleted"])
    in_bytes = [
        canaries["bytes"].encode(),
        base64.urlsafe_b64encode(canaries["base64 in bytes"].encode()),
        canaries["UTF-16"].encode("utf-16-le"),
    ]
    await owner.executemany("INSERT INTO planted (bytes) VALUES ($1)", [(content,) for content in in_bytes])
    await owner.execute("INSERT INTO planted (json) VALUES ($1)", json.dumps({"a": [canaries["json"]]}))
    sizes = "SELECT pg_column_size(text) < octet_length(text) / 10 FROM planted WHERE text LIKE 'aab%'"
    assert await owner.fetchval(sizes), "it is compressed"
    await owner.close()


async def plant_in_redis(url: str, canaries: Canaries) -> None:
    client: Any = redis.asyncio.Redis.from_url(url)
    await client.set(canaries["key"], "1")
    await client.hset("planted", "field", canaries["field"])
    await client.set("long", f"{'ab' * 100}{canaries['compressed in Redis']}{'ab' * 4000}")
    assert len(await client.dump("long")) < 1000, "it is compressed"
    await client.set("gone", canaries["deleted from Redis"])
    await client.delete("gone")
    await client.aclose()
