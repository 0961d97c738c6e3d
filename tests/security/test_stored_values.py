"""Whoever can write to the stores, but has no key, says nothing and reads nothing that is not theirs.

A thousand changes of what is stored - flipped, cut, swapped, moved, retyped, copied, deleted - and after each
one everything is read through the API: what was changed is a placeholder or gone, the rest is as it was.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from prometheus_client import generate_latest

from rdchat.domain.person import Role
from rdchat.postgres import pool as pools
from rdchat.postgres import sessions
from rdchat.postgres.names import SnapshotNames
from rdchat.redis import connection as redis_connection
from rdchat.redis.snapshots import Snapshots
from rdchat.texts.wording import UNVERIFIED
from tests.support.database_users import as_owner
from tests.support.forms import photo, upload
from tests.support.sessions import opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.redis.connection import RedisClient
    from tests.support.attacks import Attacks
    from tests.support.service import Person, Service

ROUNDS = 1_000
SEEDS = (1, 2, 3, 4)
PLACEHOLDERS = set(UNVERIFIED.values())
TABLES = ("messages", "attachments", "data_keys", "counselings", "quick_replies", "client_notes")


@dataclass
class Chat:
    """Two people, their session, and what each of them reads of it."""

    client: Person
    psychologist: Person
    session_id: str
    counseling_id: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Stored:
    """Two chats with all that is written about them, and a connection of one who is in the database."""

    service: Service
    thief: asyncpg.Connection[asyncpg.Record]
    one: Chat
    other: Chat
    #: The statements that put back what was there.
    restoring: str
    chance: random.Random

    @property
    def keys(self) -> DataKeys:
        return self.service.runtime.chat.keys

    def noticed(self) -> float:
        """How often something was noticed so far."""
        # Twice in each round: the other metrics are not written down for it.
        counted = self.service.runtime.metrics.registry.restricted_registry(
            ["rdchat_integrity_failures_total"]
        )
        return sum(
            float(line.rpartition(" ")[2])
            for line in generate_latest(counted).decode().splitlines()
            if line.startswith("rdchat_integrity_failures_total")
        )

    async def restore(self) -> None:
        """Put back what was there, in one transaction."""
        await self.thief.execute(self.restoring)
        self.keys._held.clear()  # noqa: SLF001 - as one does that starts now


async def statements_restoring(thief: asyncpg.Connection[asyncpg.Record]) -> str:
    """Return what puts back what was saved of each table."""
    statements = []
    for table in TABLES:
        # Rows are updated where they can be: others refer to counsellings.
        if table == "counselings":
            statements.append(
                "UPDATE counselings c SET notes = s.notes, cancel_reason = s.cancel_reason, "
                "client_id = s.client_id, psychologist_id = s.psychologist_id "
                "FROM saved_counselings s WHERE s.id = c.id"
            )
            continue
        columns = await thief.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass "
            "AND attnum > 0 AND NOT attisdropped",
            table,
        )
        names = ", ".join(row["attname"] for row in columns)
        statements += [
            f"DELETE FROM {table}",  # noqa: S608 - names, ours
            f"INSERT INTO {table} ({names}) SELECT {names} FROM saved_{table}",  # noqa: S608 - names, ours
        ]
    statements.append(
        "UPDATE chat_sessions c SET client_id = s.client_id, psychologist_id = s.psychologist_id "
        "FROM saved_chat_sessions s WHERE s.id = c.id"
    )
    # Statements that are sent together are one transaction.
    return ";\n".join(statements)


async def talked(service: Service) -> Chat:
    client, psychologist, session_id = await opened(service, lasts=600)
    for number in range(6):
        for person in (client, psychologist):
            said = await person.say(session_id, f"{person.caller.full_name} {number} {uuid4()}", f"{uuid4()}")
            assert said.status == 201
    for caption in ("Satu", "Dua"):
        sent = await upload(client, session_id, photo(), f"{caption}.png", caption=f"{caption} {uuid4()}")
        assert sent.status == 201
    counseling_id = (await client.session(session_id))["counselingId"]
    return Chat(client, psychologist, session_id, counseling_id, await client.history(session_id))


@pytest.fixture
async def stored(service: Service, database_url: str) -> AsyncIterator[Stored]:
    one, other = await talked(service), await talked(service)
    # One who can write whatever they like.
    thief = await asyncpg.connect(as_owner(database_url))
    for chat in (one, other):
        for number in (1, 2):
            booked = await chat.client.book(
                in_days(3 + number),
                in_days(3 + number, at=in_days(1).time().replace(hour=13)),
                notes=f"Catatan {uuid4()}",
                timezone="UTC",
                psychologistId=str(chat.psychologist.id),
            )
            assert booked.status == 201, booked.json
            cancelled = await chat.client.put(
                f"/counselings/{booked.data['id']}/cancel", {"reason": f"Alasan {uuid4()}"}
            )
            assert cancelled.status == 200
        reply = await chat.psychologist.post(
            "/quick-replies", {"title": f"{uuid4()}"[:20], "text": f"{uuid4()}"}
        )
        assert reply.status == 201, reply.json
        noted = await chat.psychologist.put(f"/clients/{chat.client.id}/notes", {"text": f"{uuid4()}"})
        assert noted.status == 200, noted.json
    for table in (*TABLES, "chat_sessions"):
        await thief.execute(f"CREATE TABLE saved_{table} AS TABLE {table}")
    restoring = await statements_restoring(thief)
    yield Stored(service, thief, one, other, restoring, random.Random())  # noqa: S311 - guards nothing
    await thief.close()


# ---- messages ---------------------------------------------------------------------------------------------

#: Changes rows, and returns the `seq`s of the first chat that have to be placeholders then.
Change = Callable[[Stored], Awaitable[set[int]]]


async def some(stored: Stored, chat: Chat, count: int, **same: Any) -> list[asyncpg.Record]:
    """Rows of some messages that people have written."""
    rows = await stored.thief.fetch(
        "SELECT * FROM messages WHERE session_id = $1 AND message_type = $2",
        UUID(chat.session_id),
        same.get("type", "text"),
    )
    return stored.chance.sample(rows, count)


def altered(stored: Stored, value: bytes) -> bytes:
    """A value with a bit changed, or cut, or replaced, or longer."""
    position = stored.chance.randrange(len(value))
    flipped = bytearray(value)
    flipped[position] ^= 1 << stored.chance.randrange(8)
    return stored.chance.choice(
        [bytes(flipped), bytes(flipped), bytes(flipped), value[:position], value + b"\0", bytes(len(value))]
    )


async def flip_body(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await set_message(stored, row, body=altered(stored, row["body"]))
    return {row["seq"]}


async def flip_mac(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await set_message(stored, row, mac=altered(stored, row["mac"]))
    return {row["seq"]}


async def swap_bodies(stored: Stored) -> set[int]:
    one, two = await some(stored, stored.one, 2)
    await set_message(stored, one, body=two["body"])
    await set_message(stored, two, body=one["body"])
    return {one["seq"], two["seq"]}


async def swap_places(stored: Stored) -> set[int]:
    one, two = await some(stored, stored.one, 2)
    await set_message(stored, one, seq=-1)
    await set_message(stored, two, seq=one["seq"])
    await stored.thief.execute("UPDATE messages SET seq = $1 WHERE id = $2", two["seq"], one["id"])
    return {one["seq"], two["seq"]}


async def change_sender(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    people = {stored.one.client.id, stored.one.psychologist.id, stored.other.client.id} - {row["sender_id"]}
    await set_message(stored, row, sender_id=stored.chance.choice(sorted(people)))
    return {row["seq"]}


async def retype(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await set_message(
        stored, row, message_type=stored.chance.choice(["automated", "image", "file", "audio", "system"])
    )
    return {row["seq"]}


async def change_instant(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await stored.thief.execute(
        "UPDATE messages SET created_at = created_at + $2 * interval '1 millisecond' WHERE id = $1",
        row["id"],
        stored.chance.choice([-100_000, -1, 1, 3_600_000]),
    )
    return {row["seq"]}


async def change_id(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await set_message(stored, row, id=uuid4())
    return {row["seq"]}


async def change_client_id(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1)
    await set_message(stored, row, client_message_id=stored.chance.choice([None, f"{uuid4()}"]))
    return {row["seq"]}


async def delete_in_the_middle(stored: Stored) -> set[int]:
    rows = await some(stored, stored.one, stored.chance.randrange(1, 4))
    await stored.thief.execute("DELETE FROM messages WHERE id = ANY($1)", [row["id"] for row in rows])
    return {row["seq"] for row in rows}


async def copy_from_another_chat(stored: Stored) -> set[int]:
    (row,), (foreign,) = await some(stored, stored.one, 1), await some(stored, stored.other, 1)
    await set_message(stored, row, body=foreign["body"], mac=foreign["mac"])
    return {row["seq"]}


async def move_from_another_chat(stored: Stored) -> set[int]:
    (row,), (foreign,) = await some(stored, stored.one, 1), await some(stored, stored.other, 1)
    await stored.thief.execute("DELETE FROM messages WHERE id = $1", row["id"])
    await set_message(
        stored, foreign, session_id=row["session_id"], seq=row["seq"], sender_id=row["sender_id"]
    )
    return {row["seq"]}


async def replay(stored: Stored) -> set[int]:
    """Say again what was said: a whole row in another's place."""
    one, two = await some(stored, stored.one, 2)
    await stored.thief.execute("DELETE FROM messages WHERE id = $1", two["id"])
    fresh = dict(one) | {"seq": two["seq"], "client_message_id": f"{uuid4()}"}
    if stored.chance.random() < 0.5:
        fresh["id"] = two["id"]
    names = ", ".join(fresh)
    values = ", ".join(f"${number}" for number in range(1, len(fresh) + 1))
    await stored.thief.execute(
        f"INSERT INTO messages ({names}) VALUES ({values})",  # noqa: S608 - names, ours
        *fresh.values(),
    )
    return {two["seq"]}


async def change_file(stored: Stored) -> set[int]:
    (row,) = await some(stored, stored.one, 1, type="image")
    file = await stored.thief.fetchrow("SELECT * FROM attachments WHERE message_id = $1", row["id"])
    assert file is not None
    changes: dict[str, Any] = {
        "file_name": altered(stored, file["file_name"]),
        "content_type": "text/html",
        "size": file["size"] + 1,
        "width": 1,
        "height": 1,
        "person_id": stored.one.psychologist.id,
    }
    column = stored.chance.choice(sorted(changes))
    await stored.thief.execute(
        f"UPDATE attachments SET {column} = $2 WHERE id = $1",  # noqa: S608 - names, ours
        file["id"],
        changes[column],
    )
    return {row["seq"]}


async def swap_files(stored: Stored) -> set[int]:
    one, two = await some(stored, stored.one, 2, type="image")
    files = {
        row["message_id"]: row["id"]
        for row in await stored.thief.fetch(
            "SELECT id, message_id FROM attachments WHERE session_id = $1", UUID(stored.one.session_id)
        )
    }
    async with stored.thief.transaction():
        for message_id, file_id in (
            (None, files[two["id"]]),
            (two["id"], files[one["id"]]),
            (one["id"], files[two["id"]]),
        ):
            await stored.thief.execute(
                "UPDATE attachments SET message_id = $2 WHERE id = $1", file_id, message_id
            )
    return {one["seq"], two["seq"]}


async def change_data_key(stored: Stored) -> set[int]:
    owner = UUID(stored.one.session_id)
    row = await stored.thief.fetchrow("SELECT * FROM data_keys WHERE owner = $1", owner)
    foreign = await stored.thief.fetchval(
        "SELECT wrapped FROM data_keys WHERE owner = $1", UUID(stored.other.session_id)
    )
    assert row is not None
    if stored.chance.random() < 0.2:
        await stored.thief.execute("DELETE FROM data_keys WHERE owner = $1", owner)
    else:
        kid, wrapped = stored.chance.choice(
            [(row["kid"], altered(stored, row["wrapped"])), (row["kid"], foreign), ("stolen", row["wrapped"])]
        )
        await stored.thief.execute(
            "UPDATE data_keys SET kid = $2, wrapped = $3 WHERE owner = $1", owner, kid, wrapped
        )
    return {message["seq"] for message in stored.one.messages}


async def set_message(stored: Stored, row: asyncpg.Record, **changes: Any) -> None:
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(changes, 2))
    await stored.thief.execute(
        f"UPDATE messages SET {columns} WHERE id = $1",  # noqa: S608 - names, ours
        row["id"],
        *changes.values(),
    )


MESSAGES: tuple[Change, ...] = (
    flip_body,
    flip_mac,
    swap_bodies,
    swap_places,
    change_sender,
    retype,
    change_instant,
    change_id,
    change_client_id,
    delete_in_the_middle,
    copy_from_another_chat,
    move_from_another_chat,
    replay,
    change_file,
    swap_files,
    change_data_key,
)


async def faults_in_chat(stored: Stored, expected: set[int]) -> list[str]:
    """Read the chat as both see it, and as a list and a transcript; return what is wrong with it."""
    faults = []
    chat = stored.one
    for person in (chat.client, chat.psychologist):
        answer = await person.get("/chat/history", sessionId=chat.session_id, limit="100")
        if answer.status != 200:
            return [f"history: {answer.status}"]
        shown = {message["seq"]: message for message in answer.data["data"]}
        if shown.keys() != {message["seq"] for message in chat.messages}:
            return [f"other messages are there: {sorted(shown)}"]
        faults += [
            f"{one['seq']} is {shown[one['seq']]}"
            for one in chat.messages
            if is_placeholder(shown[one["seq"]]) != (one["seq"] in expected)
            or (one["seq"] not in expected and said(shown[one["seq"]]) != said(one))
        ]
    texts = [message["message"] for message in stored.other.messages if "-" in message["message"]]
    for path in (f"/chat/sessions/{chat.session_id}/transcript?format=txt", "/chat/sessions"):
        answer = await chat.client.get(path)
        if answer.status != 200:
            faults.append(f"{path}: {answer.status}")
        if any(text in str(answer.json) for text in texts):
            faults.append(f"{path} shows what others have said")
    return faults


def is_placeholder(message: dict[str, Any]) -> bool:
    return (
        message["message"] in PLACEHOLDERS
        and message["messageType"] == "system"
        and not message.get("attachment")
    )


def said(message: dict[str, Any]) -> tuple[Any, ...]:
    return message["message"], message["senderId"], message["messageType"], message["createdAt"]


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_change_of_messages_files_and_keys_goes_unnoticed(
    stored: Stored, attacks: Attacks, seed: int
) -> None:
    stored.chance.seed(seed)
    through = []
    rounds = ROUNDS // len(SEEDS) * 7 // 10
    for number in range(rounds):
        change = MESSAGES[number % len(MESSAGES)]
        before = stored.noticed()
        expected = await change(stored)
        faults = await faults_in_chat(stored, expected)
        if stored.noticed() == before:
            faults.append("no alarm")
        if faults:
            through.append((seed, number, change.__name__, faults))
        await stored.restore()
    assert not await faults_in_chat(stored, set()), "it is restored, so that each round begins alike"
    attacks.count("messages, files and data keys changed in PostgreSQL", tried=rounds, through=through)


# ---- what is written beside a chat ------------------------------------------------------------------------


async def beside(chat: Chat) -> dict[str, Any]:
    """Read all that is written about a chat, as the one whom it is for; no answer may be a 5xx."""
    listed = await chat.client.get("/counselings", limit="50")
    assert listed.status == 200, listed.json
    shown: dict[str, Any] = {}
    for one in listed.data["data"]:
        counseling = await chat.psychologist.get(f"/counselings/{one['id']}")
        assert counseling.status == 200, counseling.json
        shown[one["id"]] = (one["cancelReason"], counseling.data["cancelReason"], counseling.data["notes"])
    replies = await chat.psychologist.get("/quick-replies")
    notes = await chat.psychologist.get(f"/clients/{chat.client.id}/notes")
    assert replies.status < 500, replies.json
    assert notes.status < 500, notes.json
    shown["replies"] = (
        [(one["title"], one["text"]) for one in replies.data] if replies.status == 200 else None
    )
    shown["notes"] = notes.data["text"] if notes.status == 200 else None
    return shown


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_change_of_notes_reasons_and_replies_goes_unnoticed(
    stored: Stored, attacks: Attacks, seed: int
) -> None:
    stored.chance.seed(seed)
    was, foreign = await beside(stored.one), str(await beside(stored.other))
    columns = [
        ("counselings", "notes", "client_id", stored.one.client.id),
        ("counselings", "cancel_reason", "client_id", stored.one.client.id),
        ("quick_replies", "title", "person_id", stored.one.psychologist.id),
        ("quick_replies", "text", "person_id", stored.one.psychologist.id),
        ("client_notes", "text", "psychologist_id", stored.one.psychologist.id),
    ]
    through = []
    rounds = ROUNDS // len(SEEDS) * 3 // 10
    for number in range(rounds):
        table, column, whose, person_id = columns[number % len(columns)]
        rows = await stored.thief.fetch(
            f"SELECT ctid, {column} AS value FROM {table} WHERE {whose} = $1 AND {column} IS NOT NULL",  # noqa: S608 - names, ours
            person_id,
        )
        others = await stored.thief.fetch(
            f"SELECT {column} AS value FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608 - names, ours
        )
        row = stored.chance.choice(rows)
        others = [one["value"] for one in others if one["value"] != row["value"]]
        value = stored.chance.choice([altered(stored, row["value"]), stored.chance.choice(others)])
        await stored.thief.execute(
            f"UPDATE {table} SET {column} = $1 WHERE ctid = $2::text::tid",  # noqa: S608 - names, ours
            value,
            f"({row['ctid'][0]},{row['ctid'][1]})",
        )
        before = stored.noticed()
        shown = await beside(stored.one)
        faults = [name for name, what in shown.items() if what == was[name]]
        wrong = []
        if len(faults) != len(was) - 1:
            wrong.append(f"{len(was) - len(faults)} values are shown otherwise")
        changed = str({name: what for name, what in shown.items() if what != was[name]})
        if any(word in changed for word in foreign.split("'") if len(word) > 12 and word not in PLACEHOLDERS):
            wrong.append(f"another's words are shown: {changed}")
        if stored.noticed() == before:
            wrong.append("no alarm")
        if wrong:
            through.append((seed, number, table, column, wrong))
        await stored.restore()
    assert await beside(stored.one) == was
    attacks.count("notes, reasons and replies changed in PostgreSQL", tried=rounds, through=through)


# ---- who takes part ---------------------------------------------------------------------------------------


async def test_who_puts_themselves_into_a_row_reads_hears_and_says_nothing(
    stored: Stored, attacks: Attacks
) -> None:
    service, chat = stored.service, stored.one
    texts = [message["message"] for message in chat.messages]
    spy, colleague = service.person(name="Mata"), await service.psychologist("Intai")
    await spy.get("/chat/sessions")  # so that there is a row of theirs
    through: list[tuple[Any, ...]] = []
    tried = 0
    for column, intruder in (("client_id", spy), ("psychologist_id", colleague)):
        for table, row_id in (("chat_sessions", chat.session_id), ("counselings", chat.counseling_id)):
            await stored.thief.execute(
                f"UPDATE {table} SET {column} = $2 WHERE id = $1",  # noqa: S608 - names, ours
                UUID(row_id),
                intruder.id,
            )
        stored.keys._held.clear()  # noqa: SLF001 - as one does that starts now
        for attempt in (
            intruder.get("/chat/history", sessionId=chat.session_id, limit="100"),
            intruder.get(f"/chat/sessions/{chat.session_id}/transcript", format="json"),
            intruder.get("/chat/sessions"),
            intruder.get("/chat/ably-token", sessionId=chat.session_id),
            intruder.get("/chat/ably-token"),
            intruder.get(f"/counselings/{chat.counseling_id}"),
            intruder.say(chat.session_id, "Halo?"),
            upload(intruder, chat.session_id, photo()),
        ):
            answer = await attempt
            tried += 1
            told = str(answer.json)
            heard = chat.session_id in str((answer.json.get("data") or {}).get("capability", ""))
            if answer.status >= 500 or heard or any(text in told for text in texts):
                through.append((column, answer.status, told[:300]))
        wrote = await stored.thief.fetchval("SELECT count(*) FROM messages WHERE sender_id = $1", intruder.id)
        if wrote:
            through.append((column, "has written"))
        await stored.restore()
    assert not await faults_in_chat(stored, set())
    assert (await chat.client.say(chat.session_id, "Masih di sini")).status == 201
    attacks.count("people put into others' sessions in PostgreSQL", tried=tried, through=through)


# ---- Redis ------------------------------------------------------------------------------------------------


async def saved(
    service: Service, store: RedisClient, session_ids: list[str], alarms: list[tuple[str, UUID]]
) -> Snapshots:
    """Save snapshots of sessions, as the service does when they are quiet."""
    keys = service.runtime.chat.keys
    async with pools.acquire(service.runtime.pool) as connection:
        service_key = await keys.get_service_key(connection)
    found = await sessions.get_sessions(service.runtime.pool, [UUID(one) for one in session_ids])
    names = SnapshotNames(service.runtime.pool, keys)
    snapshots = Snapshots(store, service_key, names, alarm=lambda *what: alarms.append(what))
    await snapshots.save(found.values())
    return snapshots


def key_of(session_id: str) -> str:
    return f"rdchat:session:{{{UUID(session_id).hex}}}"


async def test_no_forged_snapshot_is_believed(stored: Stored, redis_url: str, attacks: Attacks) -> None:
    chance = stored.chance
    chance.seed(5)
    store = redis_connection.connect(redis_url)
    alarms: list[tuple[str, UUID]] = []
    ids = [stored.one.session_id, stored.other.session_id]
    snapshots = await saved(stored.service, store, ids, alarms)
    values = [value for value in await store.get([key_of(one) for one in ids]) if value is not None]
    assert len(values) == 2
    assert len(await snapshots.load([UUID(one) for one in ids])) == 2
    through, tried = [], 0
    for number in range(200):
        place = number % 2
        value = values[place]
        forged = chance.choice(
            [
                altered(stored, value),
                values[1 - place],
                value[16:],
                bytes(16) + value[16:],
                value.replace(str(stored.one.client.id).encode(), str(uuid4()).encode()),
                value.replace(b'"active"', b'"pending"'),
            ]
        )
        if forged == value:
            continue
        tried += 1
        await store.one("SET", key_of(ids[place]), forged)
        if await snapshots.load([UUID(ids[place])]) or len(alarms) != tried:
            through.append(forged)
    await store.aclose()
    assert tried > 150
    attacks.count("snapshots forged in Redis", tried=tried, through=through)


async def test_a_forged_snapshot_lets_no_one_speak_for_another(
    service: Service, redis_url: str, attacks: Attacks
) -> None:
    """A replica that does not have a session in memory is given a snapshot in which a stranger takes part."""
    client, _, session_id = await opened(service, lasts=600)
    stranger = service.person(Role.CLIENT, "Mata")
    store = redis_connection.connect(redis_url)
    await saved(service, store, [session_id], [])
    (value,) = await store.get([key_of(session_id)])
    assert value is not None
    through = []
    for forged in (
        value.replace(str(client.id).encode(), str(stranger.id).encode()),
        value[16:].replace(str(client.id).encode(), str(stranger.id).encode()),
    ):
        assert forged not in (value, value[16:])
        await store.one("SET", key_of(session_id), forged)
        # As after a pause: the session is not in memory any more.
        service.runtime.engine._actors.clear()  # noqa: SLF001 - what passivation does after minutes
        said = await stranger.say(session_id, "Aku Budi")
        if (said.status, said.code) != (403, "NOT_PARTICIPANT"):
            through.append((said.status, said.json))
    await store.aclose()
    assert (await client.say(session_id, "Ini aku")).status == 201
    assert [one["message"] for one in await client.history(session_id)][-1] == "Ini aku"
    attacks.count("strangers put into a session's snapshot", tried=2, through=through)
