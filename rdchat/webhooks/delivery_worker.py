"""The delivery worker: sends one endpoint's deliveries, several at a time, and notes the outcome.

Each endpoint has a worker with connections and slots of its own, so a receiver that is slow or gone delays no
other. A delivery is claimed in PostgreSQL before it is tried, for longer than an attempt can take: any
number of replicas may work on one endpoint, and what a killed one had claimed is claimed again. A receiver
can see a delivery twice (a worker that dies between the answer and the note cannot know), under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from yarl import URL

from rdchat.common.background import cancel, keep_running
from rdchat.common.clock import iso
from rdchat.common.errors import UnavailableError
from rdchat.postgres import webhooks
from rdchat.webhooks.retry_policy import Delivered, GiveUp, Retry, decide, pause_after
from rdchat.webhooks.sender import SendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.postgres.webhooks import ClaimedDelivery
    from rdchat.webhooks.sender import Sender, WebhookResponse

log = structlog.get_logger(__name__)

#: How many deliveries to one endpoint are under way at a time.
SLOTS: Final = 16
#: Longer than an attempt with its notes may take (15 s, and 10 s for the statement).
LEASE: Final = timedelta(seconds=45)
#: Deliveries committed by other processes, and those due again, are found this soon; looking costs as much as
#: asking when the next is due.
_SWEEP_SECONDS: Final = 2.0
#: An overloaded receiver is left alone for at most this long before the next delivery is tried.
_LONGEST_REST: Final = timedelta(minutes=1)
_FLUSH_SECONDS: Final = 5.0


class DeliveryWorker:
    """Delivers to one endpoint for one process. `pause` returns the wait after a number of attempts."""

    def __init__(
        self,
        endpoint: str,
        *,
        pool: Pool,
        sender: Sender,
        keys: DataKeys,
        clock: Clock,
        metrics: Metrics,
        pause: Callable[[int], timedelta] = pause_after,
    ) -> None:
        self._endpoint = endpoint
        self._place = place_of(endpoint)
        self._pool = pool
        self._sender = sender
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._pause = pause
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], ClaimedDelivery] = {}
        #: People's requests need the database more: one connection at a time is enough to note outcomes.
        self._noting = asyncio.Lock()
        self._may_be_more = False
        self._rest_until = clock.now()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start delivering."""
        self._task = keep_running(self._run, f"webhooks to {self._place}")

    def wake(self) -> None:
        """Wake the worker: something may be due now."""
        self._wake.set()

    async def close(self) -> None:
        """Stop: give attempts under way a few seconds to end, and release those that did not."""
        await cancel(self._task)
        if self._running:
            await asyncio.wait(self._running, timeout=_FLUSH_SECONDS)
        for task, delivery in list(self._running.items()):
            await cancel(task)
            if not task.cancelled():
                continue
            with contextlib.suppress(UnavailableError):
                await webhooks.give_back_delivery(self._pool, delivery, now=self._clock.now())
        await self._sender.close()

    async def run_once(self) -> int:
        """Claim what is due, as much as slots are free, and start attempts. Return how many."""
        now = self._clock.now()
        free = SLOTS - len(self._running)
        if free <= 0 or now < self._rest_until:
            return 0
        claimed = await webhooks.claim_deliveries(
            self._pool, self._endpoint, now=now, until=now + LEASE, limit=free, keys=self._keys
        )
        self._may_be_more = len(claimed) == free
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
            self._running[task] = delivery
            task.add_done_callback(self._ended)
        return len(claimed)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(UnavailableError):
                await self.run_once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_SECONDS):
                    await self._wake.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if self._may_be_more:
            self._wake.set()

    async def _deliver(self, delivery: ClaimedDelivery) -> None:
        """Make one attempt and note its outcome; if it cannot be noted, the lease runs out."""
        verdict = decide(await self._attempt(delivery), delivery.attempts, self._pause)
        try:
            async with self._noting:
                await self._note(delivery, verdict)
        except Exception as error:  # noqa: BLE001 - in any case the row is unchanged
            log.warning(
                "the outcome of a webhook could not be noted", delivery=str(delivery.id), why=repr(error)
            )

    async def _attempt(self, delivery: ClaimedDelivery) -> WebhookResponse | SendError:
        try:
            if delivery.body is None:
                return SendError("changed where it was stored")
            return await self._sender.post(delivery.id, delivery.body)
        except SendError as error:
            return error
        except Exception as error:
            # It counts as an attempt: otherwise this delivery would be tried for ever.
            log.exception("a webhook failed in a way that was not foreseen", delivery=str(delivery.id))
            return SendError(f"not foreseen: {type(error).__name__}")

    async def _note(self, delivery: ClaimedDelivery, verdict: Delivered | Retry | GiveUp) -> None:
        now = self._clock.now()
        known = {"delivery": str(delivery.id), "type": delivery.type, "endpoint": self._place}
        if isinstance(verdict, Delivered):
            self._metrics.webhook("delivered")
            await webhooks.mark_delivered(self._pool, delivery, at=now, status=verdict.status)
            return
        dead = isinstance(verdict, GiveUp)
        due_at = now
        if isinstance(verdict, Retry):
            due_at += verdict.pause
            self._rest_until = max(self._rest_until, now + min(verdict.rest, _LONGEST_REST))
        self._metrics.webhook("dead" if dead else "failed")
        noted = await webhooks.mark_failed(
            self._pool, delivery, due_at=due_at, dead=dead, status=verdict.status, reason=verdict.reason
        )
        if dead and noted:
            log.error("a webhook is given up", why=verdict.reason, attempts=delivery.attempts, **known)
        elif noted:
            log.warning("a webhook was not delivered", why=verdict.reason, again_at=iso(due_at), **known)


def place_of(endpoint: str) -> str:
    """Return an endpoint as it may be logged, without its query, which may hold secrets."""
    return str(URL(endpoint).with_query(None))
