"""The publisher: takes committed events to Ably, in order, and then forgets them in the outbox.

What this process commits it publishes at once. A channel has one request in flight; a request carries the
oldest group of up to a hundred channels. Events that stay unpublished are kept by extending their lease;
events whose process died are taken over by whichever replica sees their lease run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.background import cancel, keep_running
from rdchat.database import outbox
from rdchat.errors import UnavailableError
from rdchat.realtime.ably_client import BATCH_CHANNELS, PublishError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.database.pool import Pool
    from rdchat.realtime.ably_client import AblyClient
    from rdchat.realtime.events import Event
    from rdchat.sealing import Sealer
    from rdchat.telemetry import Metrics

log = structlog.get_logger(__name__)

#: A process that has not published an event by then is taken to be dead, unless it extends the lease.
LEASE: Final = timedelta(seconds=10)
_EXTEND_SECONDS: Final = 3.0
_TAKE_OVER_SECONDS: Final = 2.0
_TAKE_OVER_LIMIT: Final = 1_000
#: What is over this stays in the outbox alone and is taken over in turns: an outage does not fill memory.
_HELD: Final = 20_000
_LANES: Final = 2
_FIRST_BACKOFF: Final = 0.05
_LONGEST_BACKOFF: Final = 2.0
_FLUSH_SECONDS: Final = 5.0
_CONFIRM_AGAIN_SECONDS: Final = 0.2

Group = list["Event"]


class Publisher:
    """Publishes for one process."""

    def __init__(self, pool: Pool, ably: AblyClient, sealer: Sealer, metrics: Metrics) -> None:
        self._pool = pool
        self._ably = ably
        self._sealer = sealer
        self._metrics = metrics
        self._channels: dict[str, deque[Group]] = {}
        self._ready: deque[str] = deque()
        self._known: set[tuple[UUID, int, int]] = set()
        self._unconfirmed: list[Event] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._confirming = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0

    def start(self, *, relay: bool) -> None:
        """Begin to work; with `relay`, also on what others have left behind."""
        loops = [self._publish_lane] * _LANES + [self._confirm_lane, self._keep_leases]
        if relay:
            loops.append(self._take_over)
        self._tasks = [keep_running(loop, f"publisher {loop.__name__}") for loop in loops]

    async def close(self) -> None:
        """Publish what is held, for a few seconds at most; what is left is given to the other replicas."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._idle.wait()
        for task in self._tasks:
            await cancel(task)
        left = [event for groups in self._channels.values() for group in groups for event in group]
        with contextlib.suppress(UnavailableError):
            if self._unconfirmed:
                await outbox.confirm(self._pool, self._unconfirmed)
            if left:
                await outbox.extend(self._pool, left, timedelta(0))

    def hand_over(self, events: Iterable[Event]) -> None:
        """Take events over for publishing. They must be committed, and in the order of their channels."""
        for _, own in groupby(events, key=lambda event: event.base):
            group = [event for event in own if _key(event) not in self._known]
            if not group:
                continue
            if self.held + len(group) > _HELD:
                self._metrics.outbox_overflow(len(group))
                continue
            self._known.update(map(_key, group))
            waiting = self._channels.get(group[0].channel)
            if waiting is None:
                self._channels[group[0].channel] = deque([group])
                self._ready.append(group[0].channel)
            else:
                waiting.append(group)
        if self._known:
            self._idle.clear()
            self._work.set()

    @property
    def held(self) -> int:
        """How many events this process has yet to publish or confirm."""
        return len(self._known)

    # ---- publishing ---------------------------------------------------------------------------------------

    async def _publish_lane(self) -> None:
        while True:
            while not self._ready:
                self._work.clear()
                await self._work.wait()
            # A channel taken out of `ready` is this lane's until it is put back: one request in flight.
            channels = [self._ready.popleft() for _ in range(min(len(self._ready), BATCH_CHANNELS))]
            groups = [self._channels[channel][0] for channel in channels]
            results = await self._publish(groups)
            accepted: list[Event] = []
            for channel, group, error in zip(channels, groups, results, strict=True):
                if error is None or error.permanent:
                    if error is not None:
                        log.error("Ably refuses an event for good", channel=channel, why=str(error))
                    self._channels[channel].popleft()
                    accepted += group
            self._confirm(accepted)
            failed = [error for error in results if error is not None and not error.permanent]
            if failed:
                await self._back_off(failed[0], len(groups))
            else:
                self._failures = 0
            self._put_back(channels)

    async def _publish(self, groups: list[Group]) -> list[PublishError | None]:
        try:
            return await self._ably.publish(groups)
        except PublishError as error:
            if error.permanent and len(groups) > 1:
                # One group is at fault; alone, each gets its own answer.
                return [(await self._publish([group]))[0] for group in groups]
            return [error] * len(groups)
        except Exception as error:
            log.exception("the Ably SDK failed in a way that it never did before")
            return [PublishError(repr(error))] * len(groups)

    def _put_back(self, channels: list[str]) -> None:
        for channel in channels:
            if self._channels[channel]:
                self._ready.append(channel)
            else:
                del self._channels[channel]
        if self._ready:
            self._work.set()

    async def _back_off(self, error: PublishError, groups: int) -> None:
        if self._failures == 0:
            log.warning("Ably does not take events; they are kept", why=str(error), groups=groups)
        self._metrics.publish_failures.inc()
        pause = min(_FIRST_BACKOFF * 2**self._failures, _LONGEST_BACKOFF)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads load, guards nothing

    def _confirm(self, events: list[Event]) -> None:
        if events:
            self._metrics.published.inc(len(events))
            self._unconfirmed += events
            self._confirming.set()

    async def _confirm_lane(self) -> None:
        """Delete what Ably has: in as few statements as the database allows, off the publishing path."""
        while True:
            await self._confirming.wait()
            self._confirming.clear()
            events = list(self._unconfirmed)
            try:
                await outbox.confirm(self._pool, events)
            except Exception:
                # Whatever it was, they are still in the outbox, and only this process knows better.
                log.exception("published events are not forgotten yet", events=len(events))
                self._confirming.set()
                await asyncio.sleep(_CONFIRM_AGAIN_SECONDS)
                continue
            del self._unconfirmed[: len(events)]
            self._known.difference_update(map(_key, events))
            if not self._known:
                self._idle.set()

    # ---- the outbox ---------------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(_EXTEND_SECONDS)
            held = [event for groups in self._channels.values() for group in groups for event in group]
            if held:
                with contextlib.suppress(UnavailableError):
                    await outbox.extend(self._pool, held, LEASE)

    async def _take_over(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                room = _HELD - self.held
                if room > _TAKE_OVER_LIMIT:
                    events = await outbox.take_over(
                        self._pool, lease=LEASE, limit=_TAKE_OVER_LIMIT, sealer=self._sealer
                    )
                    if events:
                        log.info("took over events that were not published", events=len(events))
                        self.hand_over(sorted(events, key=lambda event: event.channel))
            await asyncio.sleep(_TAKE_OVER_SECONDS)


def _key(event: Event) -> tuple[UUID, int, int]:
    return event.session_id, event.version, event.position
