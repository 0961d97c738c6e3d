"""One connection that all calls of a client share, without redis-py's layers in between.

redis-py spends three times as much on a call as the server does: it takes a connection from its pool, makes a
pipeline and waits in several places, for each. Here a call is written at once, and Redis answers in order.
redis-py opens the connection, so address, TLS, sign-in, database and protocol are its affair. It also makes
the calls for which there is no such connection now.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rdchat.common.background import cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio import ConnectionPool

#: After a failure it is not tried again for so long.
_PAUSE_SECONDS: Final = 0.5
#: What is not complete yet. None and False are answers.
_MORE: Final = object()


class SharedConnection:
    """Makes calls on a connection of its own, while there is one. Each has `seconds` to be answered."""

    def __init__(self, pool: ConnectionPool, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[None] | None = None

    async def run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any] | None:
        """Run commands together. Return for each its answer or its error; None when there is no connection.

        Raise redis-py's TimeoutError when no answer comes in time.
        """
        connection = self._connection
        if connection is None or not connection.is_open:
            # The call at hand does not wait for it.
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open(), name="shared connection to Redis")
            return None
        try:
            answers = await connection.run(commands)
        except RedisConnectionError:
            return None
        # Such as LOADING, of a server that has been started again.
        return None if any(isinstance(answer, RedisConnectionError) for answer in answers) else answers

    async def aclose(self) -> None:
        """Close the connection."""
        await cancel(self._opening)
        if self._connection is not None:
            self._connection.close()

    async def _open(self) -> None:
        try:
            self._connection = await _Connection.open(self._pool, self._seconds)
        except (RedisError, OSError):
            await asyncio.sleep(_PAUSE_SECONDS)


class _Call:
    __slots__ = ("answers", "begun", "count", "done")

    def __init__(self, count: int, begun: float, done: asyncio.Future[list[Any]]) -> None:
        self.count = count
        self.begun = begun
        self.answers: list[Any] = []
        self.done = done


class _Connection(asyncio.Protocol):
    """The other side of the transport of a connection that redis-py has made."""

    def __init__(
        self, writer: asyncio.StreamWriter, to_error: Callable[[str], Exception], seconds: float
    ) -> None:
        self.is_open = True
        # Kept: it would close the transport with itself.
        self._writer = writer
        self._transport = writer.transport
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=to_error, notEnoughData=_MORE)
        self._calls: deque[_Call] = deque()
        # One for all calls: the first of them is the first that has waited for too long.
        self._patience: asyncio.TimerHandle | None = None
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, pool: ConnectionPool, seconds: float) -> Self:
        """Have redis-py connect, and take over what it has connected."""
        made: Any = pool.connection_class(**pool.connection_kwargs)
        try:
            await made.connect()
        except BaseException:
            await made.disconnect(nowait=True)
            raise
        # redis-py has no public way to the transport, and to what makes its exceptions of errors.
        writer, parser = made._writer, made._parser  # noqa: SLF001
        made._reader = made._writer = None  # noqa: SLF001
        return cls(writer, parser.parse_error, seconds)

    async def run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands and return their answers. Raise redis-py's ConnectionError or TimeoutError."""
        call = _Call(len(commands), self._loop.time(), self._loop.create_future())
        self._transport.write(b"".join(map(hiredis.pack_command, commands)))
        self._calls.append(call)
        if self._patience is None:
            self._patience = self._loop.call_later(self._seconds, self._look)
        return await call.done

    def close(self) -> None:
        """Close it; what is under way fails."""
        self._lose(RedisConnectionError("the connection to Redis is closed"))

    # ---- called by the event loop -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            self._read()
        except InvalidResponse as error:
            self._lose(RedisConnectionError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(RedisConnectionError(str(exc or "Redis has closed the connection")))

    def _read(self) -> None:
        while (answer := self._reader.gets()) is not _MORE:
            # Redis may also say what it was not asked.
            if isinstance(answer, hiredis.PushNotification) or not self._calls:
                continue
            call = self._calls[0]
            call.answers.append(answer)
            if len(call.answers) == call.count:
                self._calls.popleft()
                # Its caller may have been cancelled meanwhile.
                if not call.done.done():
                    call.done.set_result(call.answers)

    def _look(self) -> None:
        """Give up if the first call has waited for too long; otherwise look again when it will have."""
        self._patience = None
        if not self._calls:
            return
        left = self._calls[0].begun + self._seconds - self._loop.time()
        if left <= 0:
            self._lose(RedisTimeoutError("Redis does not answer"))
        else:
            self._patience = self._loop.call_later(left, self._look)

    def _lose(self, error: RedisError) -> None:
        self.is_open = False
        if self._patience is not None:
            self._patience.cancel()
        self._transport.abort()
        while self._calls:
            call = self._calls.popleft()
            if not call.done.done():
                call.done.set_exception(error)
