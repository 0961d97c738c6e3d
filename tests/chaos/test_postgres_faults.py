"""PostgreSQL is killed, hangs, refuses, or loses a connection in the middle of a commit."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import aiohttp
import asyncpg
import psutil

from rdchat.timers import failures
from tests.support.waiting import until
from tests.support.world import Talk, World, a_world, at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from rdchat.local.stores import EmbeddedPostgres


async def test_postgres_is_killed_over_the_start(
    tmp_path: Path, redis_url: str, own_postgres: EmbeddedPostgres
) -> None:
    async with a_world(tmp_path, database_url=own_postgres.service_address, redis_url=redis_url) as world:
        replica = await world.replica()
        [talk, *_] = await world.book(replica.base, starts_in=2, lasts=4, count=3)
        await at_instant(talk.starts_at, offset=-0.3)
        own_postgres.kill()
        assert await _ready(world, replica.base) == 503
        await at_instant(talk.starts_at, offset=1.2)
        own_postgres.start()
        await until(lambda: _is_ready(world, replica.base), 5)
        await until(lambda: world.all_are("active"), 1.5)
        assert (await world.insist(talk, talk.client, "kembali", 3)).replies
        await world.check(10)


async def test_postgres_is_killed_over_the_end_while_both_talk(
    tmp_path: Path, redis_url: str, own_postgres: EmbeddedPostgres
) -> None:
    async with a_world(tmp_path, database_url=own_postgres.service_address, redis_url=redis_url) as world:
        replica = await world.replica()
        [talk] = await world.book(replica.base, starts_in=1, lasts=3)
        await until(lambda: world.all_are("active"), 5)
        async with world.talking((talk, talk.client), (talk, talk.psychologist), pause=0.005):
            await at_instant(talk.starts_at, offset=0.7)
            own_postgres.kill()
            began = time.monotonic()
            # Away for long enough that those who wait are sent away.
            reply = await talk.client.say(talk.id, "apakah sampai?")
            assert (reply.status, reply.code) == (503, "UNAVAILABLE")
            assert int(reply.headers["Retry-After"]) >= 1
            assert time.monotonic() - began < 15
            await until(lambda: any(said.refused for said in world.said), 3)
            own_postgres.start()
            await until(lambda: world.all_are("completed"), 8)
        # Also a message whose commit lost its answer comes to Ably in its place.
        await world.check(5)
        answers = {refusal for said in world.said for refusal in said.refused}
        assert answers == {(503, "UNAVAILABLE"), (400, "SESSION_ENDED")}


async def test_postgres_hangs_for_a_while(
    tmp_path: Path, redis_url: str, own_postgres: EmbeddedPostgres
) -> None:
    async with a_world(tmp_path, database_url=own_postgres.service_address, redis_url=redis_url) as world:
        replica = await world.replica()
        [talk] = await world.book(replica.base, starts_in=1, lasts=6)
        await until(lambda: world.all_are("active"), 5)
        head = own_postgres.pid
        assert head is not None
        pids = [head, *(child.pid for child in psutil.Process(head).children(recursive=True))]
        _signal(pids, signal.SIGSTOP)
        try:
            async with asyncio.TaskGroup() as group:
                sent = [
                    group.create_task(world.say(talk, talk.client, f"pesan {number}", named=number % 2 == 0))
                    for number in range(6)
                ]
                began = time.monotonic()
                asking = group.create_task(_ready(world, replica.base))
                await asyncio.wait([asking], timeout=3)
                took = time.monotonic() - began
                _signal(pids, signal.SIGCONT)
        finally:
            _signal(pids, signal.SIGCONT)
        assert all(task.result()[0].replies for task in sent)
        await until(lambda: _is_ready(world, replica.base), 5)
        await world.check(10)
        # A probe has an end of its own: an orchestrator must be told while it still listens.
        assert asking.result() == 503
        assert took < 3


async def test_a_commit_that_lands_after_its_connection_was_lost(world: World) -> None:
    """The answer to the commit is lost while it still waits for a lock: it happens later, and only once."""
    async with _proxy(world.database_url) as proxy:
        replica = world.new_replica(database_url=proxy.address)
        await replica.start()
        talks = await world.book(replica.base, starts_in=1, lasts=5, count=2)
        await until(lambda: world.all_are("active"), 5)
        holder = await asyncpg.connect(world.database_url)
        lock = holder.transaction()
        await lock.start()
        await holder.execute("SELECT 1 FROM chat_sessions ORDER BY id FOR UPDATE")
        async with asyncio.TaskGroup() as group:
            sending = []
            for number, talk in enumerate(talks):
                sent = world.say(talk, talk.client, "sekali saja", named=number == 0)
                sending.append(group.create_task(sent))
                await until(lambda: _waiting_for_lock(world, len(sending)), 3)
            proxy.cut()
            # The first attempts go on waiting behind the lock, unheard; now another one waits behind them.
            await until(lambda: _waiting_for_lock(world, len(sending) + 1), 3)
            await lock.rollback()
            await holder.close()
        for task in sending:
            said, reply = task.result()
            assert said.replies, f"answered {reply}"
        # At once, not when a lease has run out, nor behind the end.
        await until(lambda: all(_heard(world, talk, "sekali saja") for talk in talks), 1)
        await world.check(8)


async def test_a_message_behind_a_lock_over_the_end_is_not_refused_elsewhere(world: World) -> None:
    """Its sender gives up waiting and asks another replica: one and the same answer, whatever it is."""
    one, other = await world.replica(), await world.replica()
    [talk] = await world.book(one.base, starts_in=1, lasts=3)
    await until(lambda: world.all_are("active"), 5)
    await at_instant(talk.ends_at, offset=-0.7)
    holder = await asyncpg.connect(world.database_url)
    lock = holder.transaction()
    await lock.start()
    await holder.execute("SELECT 1 FROM chat_sessions FOR UPDATE")
    async with asyncio.TaskGroup() as group:
        group.create_task(world.say(talk, talk.client, "sekali"))
        await until(lambda: _waiting_for_lock(world, 1), 3)
        await at_instant(talk.ends_at, offset=0.1)
        [said] = world.said
        there = world.at(talk.client, other.base)
        group.create_task(world.say(talk, there, "sekali", again=said))
        await at_instant(talk.ends_at, offset=0.6)
        await lock.rollback()
    await holder.close()
    assert sorted(status for status, _, _ in said.replies) == [200, 201], f"refused: {said}"
    await world.check(8, in_order=False)


async def test_what_has_a_key_is_not_refused_while_it_may_still_land(world: World) -> None:
    """An extension and a booking whose commits land unheard, after the clock would have refused them."""
    await world.fetch(_SLOW_COMMIT)
    await world.fetch(_SLOW_COMMIT_TRIGGER)
    async with _proxy(world.database_url) as proxy:
        replica = world.new_replica(database_url=proxy.address)
        await replica.start()
        [talk] = await world.book(replica.base, starts_in=1, lasts=3)
        await until(lambda: world.all_are("active"), 5)
        client = world.person(replica.base)
        host = await world.psychologist(replica.base)
        soon = talk.ends_at
        slot = {"date": f"{soon:%Y-%m-%d}", "startTime": f"{soon:%H:%M:%S}", "timezone": "UTC"}
        slot["endTime"] = f"{soon + timedelta(seconds=30):%H:%M:%S}"
        booking = {"method": "chat", "psychologistId": str(host.id), **slot}
        asked = (
            (talk.psychologist, "PUT", f"/chat/sessions/{talk.id}/extend", {"minutes": 5}),
            (client, "POST", "/counselings/book", booking),
        )
        await at_instant(talk.ends_at, offset=-1.2)
        holder = await asyncpg.connect(world.database_url)
        await holder.execute("SELECT pg_advisory_lock(4711)")
        async with asyncio.TaskGroup() as group:
            first = [
                group.create_task(person.call(method, path, json=body, headers={"Idempotency-Key": path}))
                for person, method, path, body in asked
            ]
            await until(lambda: _waiting_for_lock(world, 2), 3)
            proxy.cut()
            assert [(await one).status for one in first] == [503, 503]
            await at_instant(talk.ends_at, offset=0.1)
            again = [
                group.create_task(person.call(method, path, json=body, headers={"Idempotency-Key": path}))
                for person, method, path, body in asked
            ]
            await until(lambda: _done_or_waiting(world, again[0], 4), 3)
            await until(lambda: _done_or_waiting(world, again[1], 4), 3)
            await holder.close()
        replies = [one.result() for one in again]
        assert [reply.status for reply in replies] == [200, 201], [reply.json for reply in replies]
        assert len(await world.fetch("SELECT 1 FROM counselings")) == 2
        [session] = await world.fetch("SELECT * FROM chat_sessions WHERE id = $1", UUID(talk.id))
        assert session["ends_at"] == talk.ends_at + timedelta(minutes=5)


async def test_what_has_a_key_is_done_once_when_its_commit_lands_unheard(world: World) -> None:
    """A booking, a move, an extension: the answer to COMMIT is lost, each is sent again before it lands."""
    await world.fetch(_SLOW_COMMIT)
    await world.fetch(_SLOW_COMMIT_TRIGGER)
    async with _proxy(world.database_url) as proxy:
        replica = world.new_replica(database_url=proxy.address)
        await replica.start()
        [talk] = await world.book(replica.base, starts_in=1, lasts=8)
        await until(lambda: world.all_are("active"), 5)
        day = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%d}"
        hour = {"date": day, "startTime": "12:00", "endTime": "13:00", "timezone": "UTC"}
        client, psychologist = world.person(replica.base), talk.psychologist
        booking = {"method": "chat", "psychologistId": str(psychologist.id), **hour}
        counseling = ""
        for number, (person, method, path, body) in enumerate(
            (
                (client, "POST", "/counselings/book", booking),
                (psychologist, "PUT", "/counselings/{}/reschedule", hour | {"endTime": "13:30"}),
                (psychologist, "PUT", f"/chat/sessions/{talk.id}/extend", {"minutes": 5}),
            )
        ):
            holder = await asyncpg.connect(world.database_url)
            await holder.execute("SELECT pg_advisory_lock(4711)")
            options = {"json": body, "headers": {"Idempotency-Key": f"kunci-{number}"}}
            async with asyncio.TaskGroup() as group:
                first = group.create_task(person.call(method, path.format(counseling), **options))
                await until(lambda: _waiting_for_lock(world, 1), 3)
                proxy.cut()
                assert (await first).status == 503
                again = group.create_task(person.call(method, path.format(counseling), **options))
                await until(lambda: _waiting_for_lock(world, 2), 3)
                await holder.close()
            reply = again.result()
            assert reply.status in (200, 201), reply.json
            counseling = counseling or reply.data["id"]
            assert (await person.call(method, path.format(counseling), **options)).data == reply.data
        made = await world.fetch("SELECT trigger FROM timeline WHERE actor_id IS NOT NULL ORDER BY at")
        assert [row["trigger"] for row in made] == ["book", "book", "reschedule", "extend"]
        assert len(await world.fetch("SELECT 1 FROM counselings")) == 2
        [session] = await world.fetch("SELECT * FROM chat_sessions WHERE id = $1", UUID(talk.id))
        assert session["ends_at"] == talk.ends_at + timedelta(minutes=5)
        assert session["schedule_version"] == 2


async def test_one_poisoned_session_harms_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_FIRST_BACKOFF_MS", 20)
    monkeypatch.setattr(failures, "_LONGEST_BACKOFF_MS", 100)
    monkeypatch.setattr(failures, "_ATTEMPTS", 4)
    async with world.service() as service:
        talks = await world.book(service.base, starts_in=2.6, lasts=2, count=5)
        bad, *good = talks
        world.talks.remove(bad)
        await world.fetch(_POISON.format(id=bad.id))
        await world.fetch(_POISON_TRIGGER)
        await until(lambda: _settled(world, good), 10)
        rows = await world.fetch("SELECT kind, lateness_ms FROM automations WHERE status = 'done'")
        assert max(row["lateness_ms"] for row in rows if row["kind"] != "initial_message") < 250
        for talk in good:
            assert (await world.automation(talk, "auto_end"))["attempts"] == 0

        async def given_up() -> bool:
            rows = await world.fetch(
                "SELECT kind FROM automations WHERE session_id = $1 AND status = 'failed'", UUID(bad.id)
            )
            return {row["kind"] for row in rows} == {"initial_message", "enable_chat", "end_warning"}

        await until(given_up, 5)
        await until(lambda: _attempts(world, bad, "auto_end", 6), 5)
        end = await world.automation(bad, "auto_end")
        assert end["status"] == "scheduled"
        assert "RaiseError" in end["reason"]
        await world.fetch("DROP TRIGGER poison ON chat_sessions")
        await until(lambda: world.is_settled(bad, "auto_end"), 5)
        await world.check(5)
        session = (await world.fetch("SELECT * FROM chat_sessions WHERE id = $1", UUID(bad.id)))[0]
        assert session["status"] in ("completed", "cancelled")
        dead = {
            (row["kind"], row["attempts"])
            for row in await world.fetch("SELECT * FROM automations WHERE status = 'failed'")
        }
        assert dead == {("initial_message", 4), ("enable_chat", 4), ("end_warning", 4)}


async def test_a_deadlock_in_the_outbox_loses_no_confirmation(world: World) -> None:
    """An event that Ably has, and whose row could not be deleted at first, is still forgotten."""
    replica = await world.replica()
    await world.fetch("CREATE SEQUENCE times")
    await world.fetch(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "PERFORM nextval('times'); "
        "RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$"
    )
    await world.fetch("CREATE TRIGGER fail BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION fail()")
    await world.book(replica.base, starts_in=1, lasts=2)

    async def has_failed() -> bool:
        return bool((await world.fetch("SELECT is_called FROM times"))[0]["is_called"])

    await until(has_failed, 4)
    await world.fetch("DROP TRIGGER fail ON outbox")
    await world.check(8)


async def test_a_passing_fault_of_a_commit_is_tried_again(world: World) -> None:
    replica = await world.replica()
    [talk] = await world.book(replica.base, starts_in=1, lasts=3)
    await until(lambda: world.all_are("active"), 5)
    answers = {}
    for code in ("40P01", "53200"):  # a deadlock, out of memory
        await world.fetch(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
            f"IF nextval('times_{code}') = 1 THEN RAISE EXCEPTION 'passing' USING ERRCODE = '{code}'; "
            "END IF; RETURN new; END $$"
        )
        await world.fetch(f"CREATE SEQUENCE times_{code}")
        await world.fetch(
            "CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()"
        )
        _, reply = await world.say(talk, talk.client, "halo")
        assert reply is not None
        answers[code] = reply.status
    await world.check(8)
    assert set(answers.values()) <= {201, 503}, answers


#: Whatever makes a plan waits for this lock when it commits.
_SLOW_COMMIT = """
CREATE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$
"""
_SLOW_COMMIT_TRIGGER = """
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON automations DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_for_it()
"""
_POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF new.id = '{id}' THEN RAISE EXCEPTION 'poison'; END IF; RETURN new;
END $$
"""
_POISON_TRIGGER = (
    "CREATE TRIGGER poison BEFORE UPDATE ON chat_sessions FOR EACH ROW EXECUTE FUNCTION poison()"
)


async def _attempts(world: World, talk: Talk, kind: str, least: int) -> bool:
    return bool((await world.automation(talk, kind))["attempts"] >= least)


async def _settled(world: World, talks: list[Talk]) -> bool:
    return all([await world.is_settled(talk, "auto_end") for talk in talks])


async def _ready(world: World, base: str) -> int:
    async with world.http.get(f"{base}/readyz", timeout=aiohttp.ClientTimeout(total=10)) as answer:
        return answer.status


async def _is_ready(world: World, base: str) -> bool:
    return await _ready(world, base) == 200


async def _waiting_for_lock(world: World, count: int) -> bool:
    rows = await world.fetch(
        "SELECT count(*) AS n FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'rdchat' AND wait_event_type = 'Lock'"
    )
    return bool(rows[0]["n"] >= count)


def _heard(world: World, talk: Talk, text: str) -> bool:
    return text in [event["content"] for event in world.events(f"chat:session:{talk.id}", "message")]


async def _done_or_waiting(world: World, task: asyncio.Task[Any], count: int) -> bool:
    return task.done() or await _waiting_for_lock(world, count)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        # Backends come and go.
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class _Proxy:
    """A way to PostgreSQL that can be cut; the server's end stays open and does not notice."""

    def __init__(self, database_url: str) -> None:
        self._parts = urlsplit(database_url)
        options = parse_qs(self._parts.query)
        self._socket = f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}"
        self._here: list[asyncio.StreamWriter] = []
        self._there: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.address = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = (
            f"postgresql://{self._parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}{self._parts.path}"
        )

    def cut(self) -> None:
        for writer in self._here:
            writer.transport.abort()
        self._here.clear()

    async def close(self) -> None:
        self._server.close()
        self.cut()
        for writer in self._there:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, back = await asyncio.open_unix_connection(self._socket)
        self._here.append(writer)
        self._there.append(back)
        for source, sink in ((reader, back), (upstream, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            return


@asynccontextmanager
async def _proxy(database_url: str) -> AsyncIterator[_Proxy]:
    proxy = _Proxy(database_url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
