"""The webhooks of one process: a delivery worker for each endpoint, and a task that tidies up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.postgres import webhooks
from rdchat.webhooks.delivery_worker import DeliveryWorker
from rdchat.webhooks.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)

_TIDY_SECONDS: Final = 15.0
#: Kept without the body, for operators who are asked whether something was sent.
_KEEP_DELIVERED: Final = timedelta(days=3)
#: Dead letters can be revived for this long; then they are deleted, for they name people.
_KEEP_DEAD: Final = timedelta(days=30)
#: What has been due this long, for an endpoint that is not in the settings, will never be delivered.
_ABANDON_AFTER: Final = timedelta(days=3)


class Webhooks:
    """Delivers the rows of `rdchat.postgres.webhooks`. Without endpoints, it deletes rows of former ones."""

    def __init__(
        self,
        endpoints: Sequence[str],
        secrets: Sequence[bytes],
        *,
        allow_private: bool,
        pool: Pool,
        keys: DataKeys,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        #: Where events are sent: `rdchat.postgres.webhooks.delivery_rows` makes one row for each.
        self.endpoints = tuple(endpoints)
        self._secrets = secrets
        self._allow_private = allow_private
        self._pool = pool
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._workers: list[DeliveryWorker] = []
        self._tidying: asyncio.Task[None] | None = None
        self._waiting = self._dead = 0

    def start(self) -> None:
        """Start delivering. A process that does not still writes rows, for others to deliver."""
        for endpoint in self.endpoints:
            sender = Sender(endpoint, self._secrets, self._clock, allow_private=self._allow_private)
            worker = DeliveryWorker(
                endpoint,
                pool=self._pool,
                sender=sender,
                keys=self._keys,
                clock=self._clock,
                metrics=self._metrics,
            )
            worker.start()
            self._workers.append(worker)
        self._tidying = keep_running(self._tidy, "webhook tidying")
        self._metrics.gauge(
            "rdchat_webhooks_waiting", "Webhook deliveries that wait, or are tried.", lambda: self._waiting
        )
        self._metrics.gauge(
            "rdchat_webhooks_dead", "Webhook deliveries that were given up.", lambda: self._dead
        )

    def wake(self) -> None:
        """Wake the workers: deliveries were committed and need not wait for the next sweep."""
        for worker in self._workers:
            worker.wake()

    async def close(self) -> None:
        """Stop; what is under way has a few seconds to end."""
        await cancel(self._tidying)
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def tidy(self) -> None:
        """Count deliveries, give up those without endpoint, delete old ones. Raise UnavailableError."""
        now = self._clock.now()
        abandoned = await webhooks.tidy_deliveries(
            self._pool,
            self.endpoints,
            unclaimed_since=now - _ABANDON_AFTER,
            delivered_before=now - _KEEP_DELIVERED,
            dead_before=now - _KEEP_DEAD,
        )
        if abandoned:
            log.error("webhooks for endpoints that are not set any more are given up", deliveries=abandoned)
        self._waiting, self._dead = await webhooks.count_deliveries(self._pool)

    async def _tidy(self) -> None:
        while True:
            try:
                await self.tidy()
            except UnavailableError as error:
                log.debug("webhooks cannot be tidied", error=str(error))
            await asyncio.sleep(_TIDY_SECONDS)
