"""The publisher: sends committed events to Ably, in order, and then deletes them from the outbox.

What this process commits it publishes at once, or a few milliseconds later when it has only just published: a
request costs the Ably SDK about the same regardless of what it carries, so a busy process fills its requests
instead of making many. A channel has one request in flight; a request carries the oldest group of up to a
hundred channels. Tokens of a session that is over are revoked by a task of its own, after everything else of
their outbox entry: trouble there keeps no messages back. Entries that stay unpublished are kept by extending
their lease; those whose process died are taken over by the first replica that sees their lease run out.
Entries of commits whose answer was lost are looked for (`doubts`). (Longer than most: what is held,
published, confirmed and given away is one book-keeping.)
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.events.channels import REVOCATION
from rdchat.postgres import outbox
from rdchat.realtime import late_revoker
from rdchat.realtime.ably_client import BATCH_CHANNELS, REVOCATION_TARGETS, PublishError
from rdchat.realtime.doubts import Doubts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rdchat.common.telemetry import Metrics
    from rdchat.events.outbox_entry import Event, OutboxEntry
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.ably_client import AblyClient
    from rdchat.realtime.channel_cipher import ChannelCipher
    from rdchat.realtime.supplement import Supplement

log = structlog.get_logger(__name__)

#: A process that has not published an event by then is taken to be dead, unless it extends the lease.
LEASE: Final = timedelta(seconds=3)
#: What is not published at once, because Ably is away, is kept for longer: there may be much of it.
_LONG_LEASE: Final = timedelta(seconds=10)
#: Leases that run out within this time are extended.
_EXTEND_BEFORE_SECONDS: Final = 2.0
_EXTEND_SECONDS: Final = 0.5
_TAKE_OVER_SECONDS: Final = 0.5
_TAKE_OVER_LIMIT: Final = 500
#: Events beyond this stay in the outbox only and are claimed in portions: an outage does not fill memory.
_HELD: Final = 20_000
_WORKERS: Final = 2
#: The least time between requests that are not full: no reader notices it, the processor does.
_PACE_SECONDS: Final = 0.015
#: Ably takes 50 publishes a second on a channel (42913 beyond): https://ably.com/docs/platform/pricing/limits.
_CHANNEL_PACE_SECONDS: Final = 0.021
#: How long a channel rests after it got more publishes, from all replicas together, than Ably allows.
_CROWDED_SECONDS: Final = 0.25
_FIRST_BACKOFF: Final = 0.05
_LONGEST_BACKOFF: Final = 2.0
_CONFIRM_LIMIT: Final = 1_000
_FLUSH_SECONDS: Final = 5.0
_CONFIRM_AGAIN_SECONDS: Final = 0.2

Group = list["Event"]


@dataclass(slots=True)
class _Held:
    """An outbox entry that this process has yet to publish: how many of its groups Ably has not accepted.

    `leased_until` is by the event loop's clock. `revocation` is the group that comes last.
    """

    entry: OutboxEntry
    groups: int
    leased_until: float
    revocation: Group | None = None


class Publisher:
    """Publishes for one process.

    `supplement` adds what readers of another contract hear; `cipher` keeps from Ably what is said.
    """

    def __init__(
        self,
        pool: Pool,
        ably: AblyClient,
        keys: DataKeys,
        metrics: Metrics,
        supplement: Supplement | None = None,
        *,
        cipher: ChannelCipher | None = None,
    ) -> None:
        self._supplement = supplement
        self._cipher = cipher
        self._pool = pool
        self._ably = ably
        self._keys = keys
        self._metrics = metrics
        self._channels: dict[str, deque[tuple[_Held, Group]]] = {}
        self._ready: deque[str] = deque()
        self._revocations: deque[tuple[_Held, Group]] = deque()
        self._revoking = asyncio.Event()
        self._held: dict[int, _Held] = {}
        self._doubts = Doubts(pool, keys, lease=LEASE, publish=self._take)
        self._unconfirmed: list[int] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._confirming = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0
        self._next_at = 0.0

    def start(self, *, relay: bool) -> None:
        """Start publishing; with `relay`, orphans of other processes as well."""
        loops = [self._publish_loop] * _WORKERS + [self._revoke_loop, self._confirm_loop, self._keep_leases]
        loops.append(self._doubts.run)
        if relay:
            loops.append(self._take_over)
        self._tasks = [keep_running(loop, f"publisher {loop.__name__}") for loop in loops]

    async def close(self) -> None:
        """Publish what is held, for a few seconds at most; leave the rest to the other replicas."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._idle.wait()
        for task in self._tasks:
            await cancel(task)
        left = [entry_id for entry_id, held in self._held.items() if held.groups] + self._doubts.held_back
        with contextlib.suppress(UnavailableError):
            if self._unconfirmed:
                await outbox.delete_entries(self._pool, self._unconfirmed)
            if left:
                await outbox.extend_leases(self._pool, left, timedelta(0))

    def hand_over(self, entries: Iterable[OutboxEntry]) -> None:
        """Take entries over for publishing. They must be committed, and in the order of their sessions."""
        self._take(entry for entry in entries if not self._doubts.holds_back(entry))

    def doubt(self, entries: Iterable[OutboxEntry]) -> None:
        """Take over entries of a commit whose outcome is unknown: published, if it should have happened."""
        self._doubts.add(entries)

    def _take(self, entries: Iterable[OutboxEntry]) -> None:
        leased_until = asyncio.get_running_loop().time() + LEASE.total_seconds()
        for entry in entries:
            if entry.id in self._held:
                continue
            if len(self._held) >= _HELD:
                self._metrics.outbox_overflow(len(entry.events))
                continue
            groups: dict[str, Group] = {}
            events = entry.events
            if self._supplement is not None:
                events = self._supplement.regroup(events)
            for event in events:
                groups.setdefault(event.base, []).append(event)
            held = self._held[entry.id] = _Held(entry, len(groups), leased_until)
            for group in groups.values():
                channel = group[0].channel
                if group[0].name == REVOCATION:
                    held.revocation = group
                    self._revoke_if_last(held)
                    continue
                waiting = self._channels.get(channel)
                if waiting is None:
                    self._channels[channel] = deque([(held, group)])
                    self._ready.append(channel)
                else:
                    waiting.append((held, group))
        if self._held:
            self._idle.clear()
            self._work.set()

    @property
    def held(self) -> int:
        """How many outbox entries this process has not yet published or confirmed."""
        return len(self._held)

    @property
    def is_refused(self) -> bool:
        """Whether Ably did not take what it was offered last."""
        return self._failures > 0

    # ---- publishing ---------------------------------------------------------------------------------------

    async def _publish_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._ready:
                self._work.clear()
                await self._work.wait()
            if len(self._ready) < BATCH_CHANNELS and (pause := self._next_at - loop.time()) > 0:
                await asyncio.sleep(pause)
                continue
            started = loop.time()
            self._next_at = started + _PACE_SECONDS
            # A channel taken out of `ready` is this worker's until it is released: one request in flight.
            channels = [self._ready.popleft() for _ in range(min(len(self._ready), BATCH_CHANNELS))]
            groups = [self._channels[channel][0][1] for channel in channels]
            results = await self._publish(groups)
            for channel, error in zip(channels, results, strict=True):
                if error is None or error.permanent:
                    if error is not None:
                        log.error("Ably refuses an event for good", channel=channel, why=str(error))
                    elif self._supplement is not None:
                        self._note_published(self._supplement, self._channels[channel][0][1])
                    self._accepted(*self._channels[channel].popleft())
            failed = [error for error in results if error and not error.permanent and not error.crowded]
            if failed:
                await self._back_off(failed[0], len(groups))
            else:
                self._failures = 0
            for channel, error in zip(channels, results, strict=True):
                pause = _CROWDED_SECONDS if error and error.crowded else _CHANNEL_PACE_SECONDS
                loop.call_at(started + pause, self._release, channel)

    @staticmethod
    def _note_published(supplement: Supplement, group: Group) -> None:
        try:
            supplement.published(group)
        except Exception:
            # What was published is published, and its channel goes on.
            log.exception("a supplement failed")

    async def _publish(self, groups: list[Group]) -> list[PublishError | None]:
        try:
            if self._supplement is not None:
                groups = await self._supplement.supplement(groups)
            if self._cipher is None:
                return await self._ably.publish(groups)
            return await self._ably.publish(await self._cipher.seal(groups))
        except UnavailableError as away:
            return [PublishError(str(away))] * len(groups)
        except PublishError as error:
            if error.permanent and len(groups) > 1:
                # One group is at fault; sent alone, each gets its own result.
                return [(await self._publish([group]))[0] for group in groups]
            return [error] * len(groups)
        except Exception as error:
            log.exception("the Ably SDK failed in a way that it never did before")
            return [PublishError(repr(error))] * len(groups)

    def _release(self, channel: str) -> None:
        """Release a channel: it is published to now, if events wait, or as soon as one comes."""
        if self._channels[channel]:
            self._ready.append(channel)
            self._work.set()
        else:
            del self._channels[channel]

    async def _back_off(self, error: PublishError, groups: int) -> None:
        if self._failures == 0:
            log.warning("Ably does not take events; they are kept", why=str(error), groups=groups)
        self._metrics.publish_failures.inc()
        pause = min(_FIRST_BACKOFF * 2**self._failures, _LONGEST_BACKOFF)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads load, guards nothing

    def _accepted(self, held: _Held, group: Group) -> None:
        self._metrics.published.inc(len(group))
        held.groups -= 1
        self._revoke_if_last(held)
        if held.groups == 0:
            self._unconfirmed.append(held.entry.id)
            self._confirming.set()

    def _revoke_if_last(self, held: _Held) -> None:
        """Let the listeners of a session hear its end before their tokens are revoked."""
        if held.groups == 1 and held.revocation is not None:
            self._revocations.append((held, held.revocation))
            held.revocation = None
            self._revoking.set()

    async def _revoke_loop(self) -> None:
        pause = _FIRST_BACKOFF
        while True:
            await self._revoking.wait()
            self._revoking.clear()
            due = self._next_revocations()
            try:
                error = await self._ably.revoke([event for _, group in due for event in group])
                if error is None:
                    await late_revoker.plan(self._pool, [held.entry for held, _ in due])
            except UnavailableError as away:
                error = PublishError(str(away))
            except Exception as unforeseen:
                log.exception("tokens cannot be revoked, in a way that never was before")
                error = PublishError(repr(unforeseen))
            if error is None or error.permanent:
                if error is not None:
                    # They expire, half an hour later at most.
                    log.error("Ably refuses to revoke tokens", sessions=len(due), why=str(error))
                for held, group in due:
                    self._accepted(held, group)
                pause = _FIRST_BACKOFF
            else:
                self._revocations.extendleft(reversed(due))
                self._metrics.publish_failures.inc()
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads load, guards nothing
                pause = min(pause * 2, _LONGEST_BACKOFF)
            if self._revocations:
                self._revoking.set()

    def _next_revocations(self) -> list[tuple[_Held, Group]]:
        """Take as many as fit into one request: at least one, since a group is small."""
        due: list[tuple[_Held, Group]] = []
        targets = 0
        while self._revocations and targets + len(self._revocations[0][1]) <= REVOCATION_TARGETS:
            due.append(self._revocations.popleft())
            targets += len(due[-1][1])
        return due

    async def _confirm_loop(self) -> None:
        """Delete published entries: in as few statements as the database allows, off the publishing path."""
        while True:
            await self._confirming.wait()
            self._confirming.clear()
            ids = self._unconfirmed[:_CONFIRM_LIMIT]
            try:
                await outbox.delete_entries(self._pool, ids)
            except Exception as error:  # noqa: BLE001 - see below
                # They are still in the outbox, and only this process knows that they were published.
                log.warning(
                    "published outbox entries are not forgotten yet", entries=len(ids), why=repr(error)
                )
                self._confirming.set()
                await asyncio.sleep(_CONFIRM_AGAIN_SECONDS)
                continue
            del self._unconfirmed[: len(ids)]
            for entry_id in ids:
                del self._held[entry_id]
            if self._unconfirmed:
                self._confirming.set()
            if not self._held:
                self._idle.set()

    # ---- the outbox ---------------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_EXTEND_SECONDS)
            now = loop.time()
            ending = [
                held
                for held in self._held.values()
                if held.groups and held.leased_until < now + _EXTEND_BEFORE_SECONDS
            ]
            for start in range(0, len(ending), _CONFIRM_LIMIT):
                some = ending[start : start + _CONFIRM_LIMIT]
                with contextlib.suppress(UnavailableError):
                    await outbox.extend_leases(self._pool, [held.entry.id for held in some], _LONG_LEASE)
                    for held in some:
                        held.leased_until = now + _LONG_LEASE.total_seconds()

    async def _take_over(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                room = _HELD - self.held
                if room > _TAKE_OVER_LIMIT:
                    entries = await outbox.take_over_entries(
                        self._pool, lease=LEASE, limit=_TAKE_OVER_LIMIT, keys=self._keys
                    )
                    if entries:
                        log.info("took over outbox entries that were not published", entries=len(entries))
                        self.hand_over(entries)
            await asyncio.sleep(_TAKE_OVER_SECONDS)
