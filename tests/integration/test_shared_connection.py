"""The connection that all calls of a client share: on a real server, and fed with bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rdchat.redis import connection, shared_connection
from rdchat.redis.connection import RedisClient, connect
from rdchat.redis.shared_connection import SharedConnection
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ID = ("CLIENT", "ID")
OPENING = "shared connection to Redis"


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Redis]:
    """Another client, which does to the server what a test asks for."""
    client = Redis.from_url(redis_url)
    yield client
    await client.client_unpause()
    await client.aclose()


@pytest.fixture
async def shared(other: Redis) -> AsyncIterator[SharedConnection]:
    """One whose calls have half a second."""
    shared = SharedConnection(other.connection_pool, 0.5)
    yield shared
    await shared.aclose()


async def opened(shared: SharedConnection) -> int:
    """Return its number, once there is one."""

    async def number() -> int | None:
        answers = await shared.run([ID])
        return answers[0] if answers else None

    found: int = await until(number)
    return found


async def numbers(client: RedisClient, count: int) -> set[int]:
    return {(await client.one(*ID)) for _ in range(count)}


async def test_calls_go_over_one_connection_as_soon_as_there_is_one(redis_url: str) -> None:
    client = connect(redis_url)
    first = await client.one(*ID)

    async def is_shared() -> bool:
        return await client.one(*ID) != first

    await until(is_shared)
    at_once = await asyncio.gather(*(client.many([("ECHO", str(n)), ID]) for n in range(50)))
    assert [text for text, _ in at_once] == [str(n).encode() for n in range(50)]
    assert {number for _, number in at_once} == await numbers(client, 3)
    await client.aclose()


async def test_each_command_may_fail_alone_with_redis_pys_own_error(shared: SharedConnection) -> None:
    await opened(shared)
    answers = await shared.run(
        [
            ("LPUSH", "list", "a", b"\0\xff"),
            ("GET", "list"),
            ("EVALSHA", "0" * 40, 0),
            ("LRANGE", "list", 0, -1),
        ]
    )
    assert answers is not None
    assert (answers[0], answers[3]) == (2, [b"\0\xff", b"a"])
    assert [type(answer) for answer in answers[1:3]] == [ResponseError, NoScriptError]


async def test_nothing_and_no_are_answers(shared: SharedConnection) -> None:
    await opened(shared)
    assert (
        await shared.run([("GET", "nothing"), ("EVAL", "redis.setresp(3) return false", 0), ID]) is not None
    )
    answers = await shared.run([("GET", "nothing"), ("ECHO", "next")])
    assert answers == [None, b"next"]


async def test_a_lost_connection_is_replaced(shared: SharedConnection, other: Redis) -> None:
    number = await opened(shared)
    await other.execute_command("CLIENT", "KILL", "ID", number)
    assert await opened(shared) != number


async def test_calls_that_are_under_way_when_it_is_lost_are_made_by_redis_py(
    redis_url: str, other: Redis
) -> None:
    client = connect(redis_url)
    first = await client.one(*ID)
    number = await until(lambda: another(client, first))
    await other.client_pause(60_000, all=False)
    under_way = [asyncio.create_task(client.many([("SET", "a", n)])) for n in range(3)]
    await until(lambda: waits(other, number))
    await other.execute_command("CLIENT", "KILL", "ID", number)
    await other.client_unpause()
    answers = await asyncio.gather(*under_way)
    assert not any(isinstance(one, BaseException) for (one,) in answers)
    await client.aclose()


async def another(client: RedisClient, first: int) -> int | None:
    number: int = await client.one(*ID)
    return None if number == first else number


async def waits(other: Redis, number: int) -> bool:
    """Whether the server holds back what it was sent on a connection."""
    [found] = [one for one in await other.client_list() if int(one["id"]) == number]
    return "b" in found["flags"]


async def test_who_is_gone_does_not_get_the_answers_of_others(shared: SharedConnection, other: Redis) -> None:
    number = await opened(shared)
    await other.client_pause(60_000, all=False)
    gone, waiting = (asyncio.create_task(shared.run([("INCR", "count"), ("ECHO", n)])) for n in range(2))
    await until(lambda: waits(other, number))
    gone.cancel()
    await other.client_unpause()
    assert await waiting == [2, b"1"]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_what_is_not_answered_in_time_fails_and_the_connection_with_it(
    shared: SharedConnection, other: Redis
) -> None:
    loop = asyncio.get_running_loop()
    number = await opened(shared)
    await other.client_pause(60_000, all=False)
    begun = loop.time()
    calls = [asyncio.create_task(shared.run([("SET", "a", n)])) for n in range(2)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert 0.45 <= loop.time() - begun < 5
    assert [type(answer) for answer in answers] == [RedisTimeoutError] * 2
    await other.client_unpause()
    assert await opened(shared) != number


async def test_a_call_has_all_its_time_however_long_the_connection_is_in_use(
    shared: SharedConnection, other: Redis
) -> None:
    """The clock of those before runs on, and is set to the first that waits."""
    number = await opened(shared)
    loop = asyncio.get_running_loop()
    until_then = loop.time() + 0.4
    while loop.time() < until_then:
        await shared.run([ID])
    await other.client_pause(60_000, all=False)
    late = asyncio.create_task(shared.run([("SET", "a", 1)]))
    await until(lambda: waits(other, number))
    while loop.time() < until_then + 0.2:
        await other.ping()
    assert not late.done()
    await other.client_unpause()
    assert await late is not None


async def test_without_an_answer_redis_py_tries_once_more_on_another_connection(
    redis_url: str, other: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SECONDS", 0.3)
    client = connect(redis_url)
    number = await until(lambda: another(client, 0))
    await until(lambda: another(client, number))
    await other.client_pause(60_000, all=False)
    begun = asyncio.get_running_loop().time()
    [answer] = await client.many([("SET", "a", 1)])
    assert isinstance(answer, RedisTimeoutError)
    assert 0.55 <= asyncio.get_running_loop().time() - begun < 5
    trying = asyncio.create_task(client.many([("SET", "a", 1), ("GET", "a")]))
    await other.client_unpause()
    assert (await trying)[1] == b"1"
    await client.aclose()


async def test_a_server_that_is_away_is_not_pestered(other: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    refused = asyncio.Event()

    async def refuse(*pool: object) -> None:
        tried.append(pool)
        refused.set()
        raise OSError("refused")

    monkeypatch.setattr(shared_connection._Connection, "open", refuse)  # noqa: SLF001
    shared = SharedConnection(other.connection_pool, 0.5)
    for _ in range(3):
        assert await shared.run([ID]) is None
        await refused.wait()
    assert len(tried) == 1
    await shared.aclose()
    assert OPENING not in {task.get_name() for task in asyncio.all_tasks()}


async def test_closed_while_a_silent_server_is_being_asked_it_leaves_nothing() -> None:
    came, gone = asyncio.Event(), asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        while await reader.read(1000):
            pass
        gone.set()
        writer.close()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        shared = SharedConnection(Redis(port=port).connection_pool, 0.5)
        assert await shared.run([ID]) is None
        await came.wait()
        await shared.aclose()
        await gone.wait()
    assert OPENING not in {task.get_name() for task in asyncio.all_tasks()}


async def test_closed_it_is_gone_from_the_server(shared: SharedConnection, other: Redis) -> None:
    number = await opened(shared)
    await shared.aclose()

    async def gone() -> bool:
        return number not in {int(one["id"]) for one in await other.client_list()}

    await until(gone)


# ---- bytes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 1000], ids=lambda size: f"{size} at a time")
async def test_answers_come_in_pieces_and_what_was_not_asked_is_left_out(
    shared: SharedConnection, size: int
) -> None:
    await opened(shared)
    made: Any = shared._connection  # noqa: SLF001
    transport, made._transport = made._transport, Silent()  # noqa: SLF001
    calls = [asyncio.ensure_future(made.run([("PING",)] * count)) for count in (2, 1)]
    await asyncio.sleep(0)
    told = b"$3\r\none\r\n>2\r\n$6\r\nMOVING\r\n:1\r\n#f\r\n*2\r\n:1\r\n_\r\n"
    for at in range(0, len(told), size):
        made.data_received(told[at : at + size])
    assert await asyncio.gather(*calls) == [[b"one", False], [[1, None]]]
    transport.abort()


class Silent:
    """A transport that keeps nothing."""

    aborted = False

    def write(self, _: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(
    "told", [b"-LOADING the dataset\r\n+PONG\r\n", b"?\r\n"], ids=["still loading", "no Redis at all"]
)
async def test_who_cannot_serve_is_left_to_redis_py(shared: SharedConnection, told: bytes) -> None:
    await opened(shared)
    made: Any = shared._connection  # noqa: SLF001
    transport, made._transport = made._transport, Silent()  # noqa: SLF001
    call = asyncio.ensure_future(shared.run([("PING",), ("PING",)]))
    await asyncio.sleep(0)
    made.data_received(told)
    assert await call is None
    transport.abort()
