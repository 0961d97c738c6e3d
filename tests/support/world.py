"""A small world for fault tests: stores, an Ably endpoint, people who book and talk, and what must hold."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg

from config import automated_text
from rdchat.common.clock import SystemClock
from rdchat.domain.person import Caller, Role
from rdchat.local.ably import AblyLocal
from rdchat.redis.connection import connect
from rdchat.redis.delay_queue import SHARDS, DelayQueue, leases_key
from rdchat.security.caller_tokens import CallerTokens
from tests.support.automations import ALWAYS
from tests.support.database_users import as_owner
from tests.support.keys import read_texts
from tests.support.replica import Replica
from tests.support.service import (
    SECRET,
    Person,
    Reply,
    Service,
    service_settings,
    whole_second,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

_SPEAKING = ("initial_message", "enable_chat", "auto_end")
_STATUS_OF = {"enable_chat": "chat_enabled", "end_warning": "ending_soon", "auto_end": "completed"}
_PER_PSYCHOLOGIST = 5


@dataclass(slots=True)
class Said:
    """A message that a person tried to send, and every answer they got for it."""

    session_id: str
    sender_id: str
    text: str
    client_message_id: str | None
    replies: list[tuple[int, str, int]] = field(default_factory=list)  # (status, id, seq) of 201 and 200
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Talk:
    """A booked session and its people."""

    id: str
    client: Person
    psychologist: Person
    starts_at: datetime
    ends_at: datetime


class World:
    """Where the stores are, who is there, and what they were promised."""

    def __init__(
        self, directory: Path, database_url: str, redis_url: str, ably: AblyLocal, http: aiohttp.ClientSession
    ) -> None:
        self.directory = directory
        self.database_url = database_url
        self.redis_url = redis_url
        self.ably = ably
        self.http = http
        self.talks: list[Talk] = []
        self.said: list[Said] = []
        self.replicas: list[Replica] = []
        self._tokens = CallerTokens(
            algorithms=("HS256",),
            issuer="rdchat",
            audience="rdchat",
            clock=SystemClock(),
            secret=SECRET,
            keys=None,
        )

    # ---- people and replicas ------------------------------------------------------------------------------

    async def replica(self, **settings: Any) -> Replica:
        """Start a replica in a process of its own."""
        replica = self.new_replica(**settings)
        await replica.start()
        return replica

    def new_replica(self, **settings: Any) -> Replica:
        addresses = {
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "ably_endpoint": self.ably.address,
        }
        place = self.directory / f"replica-{len(self.replicas)}"
        replica = Replica(place, **(addresses | settings))
        self.replicas.append(replica)
        return replica

    def person(self, base: str, role: Role = Role.CLIENT, name: str = "Budi") -> Person:
        caller = Caller(uuid4(), role, name)
        return Person(self.http, base, caller, self._tokens.issue(caller, lifetime=timedelta(hours=1)))

    def at(self, person: Person, base: str) -> Person:
        """The same person, calling another replica."""
        return Person(self.http, base, person.caller, person.token)

    async def psychologist(self, base: str) -> Person:
        person = self.person(base, Role.PSYCHOLOGIST, "Sari")
        admin = self.person(base, Role.SUPER_ADMIN, "Admin")
        reply = await admin.put(f"/psychologists/{person.id}", {"fullName": "Sari"})
        assert reply.status == 201, reply.json
        return person

    async def book(self, base: str, *, starts_in: float, lasts: float, count: int = 1) -> list[Talk]:
        """Book so many sessions at the same time, from the first whole second that is so far away."""
        hosts = [await self.psychologist(base) for _ in range(-(-count // _PER_PSYCHOLOGIST))]
        starts_at = whole_second(starts_in)
        ends_at = starts_at + timedelta(seconds=lasts)
        talks = []
        for number in range(count):
            host = hosts[number // _PER_PSYCHOLOGIST]
            client = self.person(base)
            session_id = await client.book_session(starts_at, ends_at, psychologistId=str(host.id))
            talks.append(Talk(session_id, client, host, starts_at, ends_at))
        self.talks += talks
        return talks

    @asynccontextmanager
    async def service(self, **changes: Any) -> AsyncIterator[Service]:
        """A replica in this process, for tests that reach into it."""
        settings = service_settings(
            self.directory / "service", **({"ably_endpoint": self.ably.address} | changes)
        )
        async with Service.running(
            settings, database_url=self.database_url, redis_url=self.redis_url
        ) as running:
            yield running

    # ---- talking ------------------------------------------------------------------------------------------

    async def say(
        self, talk: Talk, person: Person, text: str, *, named: bool = True, again: Said | None = None
    ) -> tuple[Said, Reply | None]:
        """Send a message and keep what was answered; None when there was no answer at all."""
        said = again or Said(talk.id, str(person.id), text, f"{text}-{uuid4().hex[:8]}" if named else None)
        if again is None:
            self.said.append(said)
        try:
            reply = await person.say(talk.id, text, said.client_message_id)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return said, None
        if reply.status in (200, 201):
            said.replies.append((reply.status, reply.data["id"], reply.data["seq"]))
        else:
            said.refused.append((reply.status, reply.code))
        return said, reply

    async def insist(self, talk: Talk, person: Person, text: str, seconds: float) -> Said:
        """Send a message, and repeat it under its name until it is answered for good."""
        deadline = time.monotonic() + seconds
        said: Said | None = None
        while True:
            said, reply = await self.say(talk, person, text, again=said)
            if reply is not None and reply.status in (200, 201, 400):
                return said
            assert time.monotonic() < deadline, f"no answer within {seconds} s: {said}"
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def talking(self, *speakers: tuple[Talk, Person], pause: float = 0.02) -> AsyncIterator[None]:
        """Let people talk without pause, repeating what was not answered, until the chat is over."""
        stop = asyncio.Event()

        async def speak(talk: Talk, person: Person) -> None:
            number = 0
            while not stop.is_set():
                said = await self.insist(talk, person, f"pesan {number}", 20)
                number += 1
                if said.refused and said.refused[-1] == (400, "SESSION_ENDED"):
                    return
                await asyncio.sleep(pause)

        async with asyncio.TaskGroup() as group:
            for talk, person in speakers:
                group.create_task(speak(talk, person))
            yield
            stop.set()

    # ---- looking ------------------------------------------------------------------------------------------

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement as the owner of the tables, who may plant faults."""
        connection = await asyncpg.connect(as_owner(self.database_url), timeout=10)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()

    async def status(self, talk: Talk) -> str:
        rows = await self.fetch("SELECT status FROM chat_sessions WHERE id = $1", UUID(talk.id))
        return str(rows[0]["status"])

    async def statuses(self) -> Counter[str]:
        rows = await self.fetch("SELECT status FROM chat_sessions")
        return Counter(row["status"] for row in rows)

    async def automation(self, talk: Talk, kind: str) -> asyncpg.Record:
        rows = await self.fetch(
            "SELECT * FROM automations WHERE session_id = $1 AND kind = $2", UUID(talk.id), kind
        )
        return rows[0]

    async def all_are(self, status: str) -> bool:
        """Whether every session is in that state; False while PostgreSQL is away."""
        try:
            return set(await self.statuses()) == {status}
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    async def is_settled(self, talk: Talk, kind: str) -> bool:
        return (await self.automation(talk, kind))["status"] != "scheduled"

    async def in_queue(self) -> int:
        store = connect(self.redis_url)
        try:
            return sum(depth.waiting + depth.leased for depth in await DelayQueue(store).depth())
        finally:
            await store.aclose()

    async def expire_leases(self) -> None:
        """Let pass the time for which a process that is gone had claimed timers and events."""
        store = connect(self.redis_url)
        try:
            for shard in range(SHARDS):
                for member in await store.one("ZRANGE", leases_key(shard), 0, -1):
                    await store.one("ZADD", leases_key(shard), "XX", 0, member)
        finally:
            await store.aclose()
        await self.fetch("UPDATE outbox SET lease_until = now() - interval '1 second'")

    def events(self, channel: str, name: str) -> list[dict[str, Any]]:
        """What the endpoint accepted on a channel, in order."""
        return [
            _data(message) for on, message in self.ably.published if on == channel and message["name"] == name
        ]

    # ---- what must hold -----------------------------------------------------------------------------------

    async def settle(self, seconds: float) -> None:
        """Wait until every session is over and nothing waits anywhere."""

        async def over() -> bool:
            return set(await self.statuses()) <= {"completed", "cancelled"}

        async def delivered() -> bool:
            return (await self.fetch("SELECT count(*) AS n FROM outbox"))[0]["n"] == 0

        async def idle() -> bool:
            return await self.in_queue() == 0

        deadline = time.monotonic() + seconds
        faults = []
        for condition in (over, delivered, idle):
            try:
                await until(condition, max(0.5, deadline - time.monotonic()), every=0.05)
            except AssertionError:
                faults.append(condition.__name__)
        if faults:
            left = {
                "sessions": dict(await self.statuses()),
                "automations": [
                    tuple(row)
                    for row in await self.fetch(
                        "SELECT kind, status, count(*) FROM automations GROUP BY 1, 2 ORDER BY 1, 2"
                    )
                ],
                "outbox": (await self.fetch("SELECT count(*) AS n FROM outbox"))[0]["n"],
                "queue": await self.in_queue(),
            }
            raise AssertionError(f"not {', '.join(faults)} after {seconds} s: {left}")

    async def check(self, seconds: float, *, in_order: bool = True, missed: bool = False) -> None:
        """Wait for the end of everything, and check what must hold after any fault.

        `in_order`: whether a chat's messages must have reached Ably by `seq`. `missed`: whether sessions may
        have been called off because no replica could open them in time.
        """
        await self.settle(seconds)
        for talk in self.talks:
            await self._check_talk(talk, in_order=in_order, missed=missed)
        notifications = Counter(
            _data(message)["id"] for _, message in self.ably.published if message["name"] == "notification"
        )
        assert not _repeated(notifications), f"notified twice: {_repeated(notifications)}"

    async def _check_talk(self, talk: Talk, *, in_order: bool, missed: bool) -> None:
        session = (await self.fetch("SELECT * FROM chat_sessions WHERE id = $1", UUID(talk.id)))[0]
        automations = {
            row["kind"]: row
            for row in await self.fetch("SELECT * FROM automations WHERE session_id = $1", UUID(talk.id))
        }
        stories = {kind: (row["status"], row["reason"]) for kind, row in automations.items()}
        assert automations.keys() >= set(ALWAYS), stories
        for kind, row in automations.items():
            assert row["status"] in ("done", "skipped", "cancelled"), f"{kind}: {stories}"
            assert (row["reason"] is None) == (row["status"] == "done"), f"{kind}: {stories}"
            assert row["status"] == "cancelled" or row["executed_at"] is not None or missed, stories
        if not missed:
            assert session["status"] == "completed", stories
            assert session["end_reason"] != "missed"
        done = {kind for kind, row in automations.items() if row["status"] == "done"}

        timeline = await self.fetch("SELECT trigger FROM timeline WHERE session_id = $1", UUID(talk.id))
        ran = Counter(row["trigger"] for row in timeline)
        assert not _repeated(ran), f"ran twice: {ran}"
        assert done <= set(ran), f"done without a line in the timeline: {done - set(ran)}"

        messages = await self._messages(talk)
        seqs = [row["seq"] for row in messages]
        assert seqs == list(range(1, len(seqs) + 1)), f"seq is not dense: {seqs}"
        assert session["last_seq"] == len(seqs)
        ids = Counter(str(row["id"]) for row in messages)
        assert not _repeated(ids), f"stored twice: {_repeated(ids)}"
        texts = Counter(row["text"] for row in messages if row["message_type"] == "automated")
        wanted = {automated_text(kind, session["language"]) for kind in _SPEAKING if kind in done}
        assert texts == Counter(wanted), f"automated: {texts}, done: {done}"
        if session["status"] == "completed" and session["end_reason"] == "auto_ended":
            assert messages[-1]["text"] == automated_text("auto_end", session["language"])
            assert all(row["created_at"] < session["ends_at"] for row in messages[:-1])

        self._check_said(talk, messages)
        self._check_published(talk, messages, done, in_order=in_order)

    def _check_said(self, talk: Talk, messages: list[dict[str, Any]]) -> None:
        texts = {(str(row["sender_id"]), row["client_message_id"] or row["text"]): row for row in messages}
        names = Counter((str(row["sender_id"]), row["client_message_id"] or row["text"]) for row in messages)
        for said in self.said:
            if said.session_id != talk.id:
                continue
            key = (said.sender_id, said.client_message_id or said.text)
            if said.replies:
                assert len({reply[1:] for reply in said.replies}) == 1, f"answered differently: {said}"
                assert sum(status == 201 for status, _, _ in said.replies) <= 1, said
                assert names[key] == 1, f"accepted, and stored {names[key]} times: {said}"
                row = texts[key]
                assert (str(row["id"]), row["seq"], row["text"]) == (*said.replies[0][1:], said.text)
            else:
                assert names[key] <= 1, f"stored {names[key]} times: {said}"
                if said.refused and said.refused[-1][0] == 400:
                    assert names[key] == 0, f"refused, and stored: {said}"

    def _check_published(
        self, talk: Talk, messages: list[dict[str, Any]], done: set[str], *, in_order: bool
    ) -> None:
        channel = f"chat:session:{talk.id}"
        told = self.events(channel, "message")
        stored = [(str(row["id"]), row["seq"], row["text"]) for row in messages]
        published = [(one["id"], one["seq"], one["content"]) for one in told]
        twice = _repeated(Counter(published))
        assert not twice, f"published twice: {twice}"
        assert sorted(published, key=lambda one: one[1]) == stored, (
            f"published {len(published)} of {len(stored)}: missing {set(stored) - set(published)}, "
            f"unknown {set(published) - set(stored)}"
        )
        if in_order:
            assert published == stored, f"out of order: {[seq for _, seq, _ in published]}"
        statuses = Counter(one["status"] for one in self.events(channel, "session-status"))
        assert not _repeated(statuses), f"told twice: {statuses}"
        for kind, status in _STATUS_OF.items():
            assert statuses[status] == (kind in done), f"{status} was told {statuses[status]} times"

    async def _messages(self, talk: Talk) -> list[dict[str, Any]]:
        rows = await self.fetch("SELECT * FROM messages WHERE session_id = $1 ORDER BY seq", UUID(talk.id))
        texts = await read_texts(self)
        return [dict(row) | {"text": texts[row["id"]]} for row in rows]

    # ---- life ---------------------------------------------------------------------------------------------

    async def close(self) -> None:
        for replica in self.replicas:
            replica.kill9()


def _data(message: Any) -> dict[str, Any]:
    data = message["data"]
    read: dict[str, Any] = json.loads(data) if isinstance(data, str) else data
    return read


def _repeated(counts: Counter[Any]) -> dict[Any, int]:
    return {key: count for key, count in counts.items() if count > 1}


@asynccontextmanager
async def a_world(directory: Path, *, database_url: str, redis_url: str) -> AsyncIterator[World]:
    """Make a world on stores that run."""
    name, _, secret = service_settings(directory).ably_key.partition(":")
    ably = AblyLocal(keys={name: secret})
    await ably.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        world = World(directory, database_url, redis_url, ably, http)
        try:
            yield world
        finally:
            await world.close()
            await ably.close()


async def at_instant(instant: datetime, *, offset: float = 0.0) -> None:
    """Wait until an instant, plus so many seconds, to the millisecond."""
    # It is an instant that is waited for here, not a condition.
    while (left := (instant - datetime.now(UTC)).total_seconds() + offset) > 0:  # noqa: ASYNC110
        await asyncio.sleep(left - 0.002 if left > 0.003 else 0)


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    return list(await asyncio.gather(*work))
