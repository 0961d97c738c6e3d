"""Carrying out a request with an Idempotency-Key once: note it before, keep its answer after.

Notes of what became of a request are tried again for a moment, on another connection if the first was just
lost. Where that fails too, a client that sends the request again is told for a while that it is still under
way.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.common.ids import new_id
from rdchat.common.late_writes import LateWrites
from rdchat.domain.idempotency import Answered, Begun
from rdchat.postgres import idempotency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.idempotency import KeyedRequest
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

_NOTE_SECONDS: Final = 1.0
_NOTE_PAUSE_SECONDS: Final = 0.05
_FORGET_EVERY_SECONDS: Final = 600.0


@dataclass(slots=True, kw_only=True)
class IdempotencyService:
    """Remembers requests with a key, and forgets them after a day."""

    pool: Pool
    keys: DataKeys
    clock: Clock
    late_writes: LateWrites = field(default_factory=LateWrites)
    _forgetting: asyncio.Task[None] | None = None

    async def begin(self, request: KeyedRequest) -> Begun | Answered:
        """Note a request, or find what was answered to it.

        Raise RdchatError: IDEMPOTENCY_MISMATCH, IDEMPOTENCY_IN_FLIGHT, UNAVAILABLE.
        """
        begun = await idempotency.begin(self.pool, request, new_id(), self.clock.now(), keys=self.keys)
        if isinstance(begun, Begun | Answered):
            return begun
        if begun is idempotency.MISMATCH:
            raise RdchatError(ErrorCode.IDEMPOTENCY_MISMATCH)
        raise RdchatError(ErrorCode.IDEMPOTENCY_IN_FLIGHT, retry_after=1)

    async def keep_answer(self, request: KeyedRequest, operation_id: UUID, answered: Answered) -> None:
        """Keep the answer to an operation for a repeated request; later, if PostgreSQL does not take it now.

        It was done, whether or not that can be noted: the operation's id tells it the next time.
        """
        finish = partial(idempotency.finish, self.pool, request, operation_id, answered, keys=self.keys)
        if not await _note(finish):
            self.late_writes.add(finish, idempotency.KEPT)

    async def note_failure(self, request: KeyedRequest, error: BaseException) -> None:
        """Note that a request was refused, and may be sent again, or that its outcome is unknown."""
        if isinstance(error, RdchatError) and error.code is not ErrorCode.UNAVAILABLE:
            await _note(lambda: idempotency.drop(self.pool, request))
        else:
            await _note(lambda: idempotency.give_away(self.pool, request, self.clock.now()))

    # ---- forgetting ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to forget answers that have been kept for long enough."""
        self._forgetting = keep_running(self._forget_for_ever, "forgetting answers")
        self.late_writes.start()

    async def close(self) -> None:
        """Stop forgetting."""
        await cancel(self._forgetting)
        await self.late_writes.close()

    async def _forget_for_ever(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                await idempotency.forget(self.pool, self.clock.now() - idempotency.KEPT)
            await asyncio.sleep(_FORGET_EVERY_SECONDS)


async def _note(write: Callable[[], Awaitable[None]]) -> bool:
    """Write on another connection if the first was just lost. Return whether it was written."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_NOTE_SECONDS):
            while True:
                with contextlib.suppress(UnavailableError):
                    await write()
                    return True
                await asyncio.sleep(_NOTE_PAUSE_SECONDS)
    return False
