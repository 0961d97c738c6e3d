"""Carries out what is left to revoke once a session is over.

At the end, listeners are asked for another token, and have half a minute. That reaches no token which was
issued in the same second, or while the end was being committed, and none that a TokenRequest is exchanged for
later. So some seconds after, all tokens of before the end are revoked once more, at once; and again and again
as long as a TokenRequest of before the end can be exchanged. They are known by the channel of who is typing,
which no later token has.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.events import channels
from rdchat.postgres import late_revocations
from rdchat.realtime.ably_client import REVOCATION_TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rdchat.common.clock import Clock
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.ably_client import AblyClient

log = structlog.get_logger(__name__)

#: A client that was asked for a new token has got one by then. The second of the end is long over.
_AFTER: Final = timedelta(seconds=5)
_POLL_SECONDS: Final = 1.0
#: Clocks of this service and of Ably differ by less, else it is asked again.
_SKEW_SECONDS: Final = 0.5
_MARGIN: Final = timedelta(seconds=2)


async def plan(pool: Pool, entries: Iterable[OutboxEntry]) -> None:
    """Plan what is left to do for entries whose tokens were just revoked. Raise UnavailableError."""
    targets, persons = {}, set()
    for entry in entries:
        for event in entry.events:
            if event.name != channels.REVOCATION:
                continue
            person_id = orjson.loads(event.data).get("clientId")
            if person_id is not None:
                persons.add((person_id, entry.session_id))
            else:
                targets[f"channel:{channels.typing_channel(entry.session_id)}"] = entry.session_id
    await late_revocations.plan_late_revocations(pool, targets.items(), persons, after=_AFTER)


class LateRevoker:
    """Revokes what is due, for all replicas."""

    def __init__(self, pool: Pool, ably: AblyClient, clock: Clock) -> None:
        self._pool = pool
        self._ably = ably
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look for what is due every second."""
        self._task = keep_running(self._run, "late revocations")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    async def run_once(self) -> int:
        """Revoke what is due, as much as Ably takes in one request. Return how many targets that were.

        Raise UnavailableError. What Ably does not take is due again.
        """
        targets = await late_revocations.claim_due(self._pool, again_after=_AFTER, limit=REVOCATION_TARGETS)
        if not targets:
            return 0
        issued_before = int(self._clock.ms() / 1000 - _SKEW_SECONDS) * 1000
        error = await self._ably.revoke_targets(targets, issued_before=issued_before, allow_margin=False)
        if error is not None and not error.permanent:
            log.warning("tokens are not revoked yet", targets=len(targets), why=str(error))
            return len(targets)
        if error is not None:
            log.error("Ably refuses to revoke tokens", targets=len(targets), why=str(error))
        await late_revocations.settle(self._pool, targets, margin=_MARGIN)
        return len(targets)

    async def _run(self) -> None:
        while True:
            try:
                found = await self.run_once()
            except UnavailableError:
                found = 0
            if found < REVOCATION_TARGETS:
                await asyncio.sleep(_POLL_SECONDS)
