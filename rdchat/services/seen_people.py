"""Who was seen: names and other facts follow the tokens, at the cost of nothing while they stay the same.

What a token says is compared with what this process knows to be kept. Where it differs, or the process has
not seen the person yet, PostgreSQL is asked before the request goes on, for all who come at that moment at
once; and only where its row differs as well is anything written.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.postgres import people
from rdchat.postgres.data_keys import DataKeyError
from rdchat.postgres.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)

#: People whose facts are remembered; their callers are those that verified tokens are remembered with.
_REMEMBERED: Final = 100_000
#: A request goes on without it then: an old name is better than no answer.
_WAIT_SECONDS: Final = 0.5
#: After PostgreSQL was away, no request waits for so long.
_REST_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Pending:
    caller: Caller
    done: asyncio.Future[None]


class SeenPeople:
    """Keeps what tokens say of people."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._kept: OrderedDict[UUID, Caller] = OrderedDict()
        self._pending: dict[UUID, _Pending] = {}
        self._something = asyncio.Event()
        self._rests_until = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = keep_running(self._run, "seen people")

    async def close(self) -> None:
        """Stop. Requests that wait go on."""
        await cancel(self._task)
        _let_go(self._pending.values())

    def forget(self, person_ids: Iterable[UUID]) -> None:
        """Forget what is kept of people who were erased: should they come back, it is news."""
        for person_id in person_ids:
            self._kept.pop(person_id, None)

    def is_news(self, caller: Caller) -> bool:
        """Whether a token says something that may not be kept yet.

        Of two tokens of one person, what the later one says stands.
        """
        known = self._kept.get(caller.id)
        if known is caller:
            return False
        if known is not None and caller.issued_at < known.issued_at:
            return False
        if known == caller:
            self._kept[caller.id] = caller
            return False
        return asyncio.get_running_loop().time() >= self._rests_until

    async def keep(self, caller: Caller) -> None:
        """Keep what a token says, and wait until it is, but not for long."""
        pending = self._pending.get(caller.id)
        if pending is None:
            pending = _Pending(caller, asyncio.get_running_loop().create_future())
            self._pending[caller.id] = pending
        elif caller.issued_at >= pending.caller.issued_at:
            pending.caller = caller
        self._something.set()
        await asyncio.wait({pending.done}, timeout=_WAIT_SECONDS)

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            batch, self._pending = self._pending, {}
            try:
                await self._write([pending.caller for pending in batch.values()])
            except UnavailableError:
                self._rests_until = asyncio.get_running_loop().time() + _REST_SECONDS
                log.debug("what tokens say is kept later", people=len(batch))
            finally:
                _let_go(batch.values())

    async def _write(self, callers: list[Caller]) -> None:
        now = self._clock.now()
        changed = await people.insert_new(self._pool, callers, now)
        for caller in callers:
            if caller.id in changed:
                try:
                    async with transaction(self._pool) as connection:
                        await people.upsert_person(connection, caller, now)
                except DataKeyError:
                    # There is an alarm of it already. What is known of them stays.
                    log.warning("what a token says cannot be kept", person=str(caller.id))
            self._kept[caller.id] = caller
        while len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)


def _let_go(batch: Iterable[_Pending]) -> None:
    for pending in batch:
        if not pending.done.done():
            pending.done.set_result(None)
