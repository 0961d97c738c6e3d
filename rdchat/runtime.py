"""Everything wired together: one replica of the service, without its HTTP edge.

`Runtime.start` builds the parts in the order in which they need each other; `close` takes them down in the
opposite order, so that whatever is under way finishes: first no new timers, then the engine, then what the
last commits have left to deliver. Longer than most because that order is told in one place.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.corrected_clock import CorrectedClock
from rdchat.common.errors import UnavailableError
from rdchat.common.late_writes import LateWrites
from rdchat.common.telemetry import Metrics
from rdchat.domain.booking import Limits
from rdchat.engine.engine import Engine
from rdchat.engine.post_commit import PostCommitEffects
from rdchat.files.examiner import Examiner
from rdchat.files.links import Links
from rdchat.files.storage import storage_for
from rdchat.local.ably import AblyLocal
from rdchat.postgres import idempotency, pool
from rdchat.postgres.migrate import migrate
from rdchat.postgres.server_clock import ClockKeeper
from rdchat.postgres.storage import StoredSessions
from rdchat.realtime.ably_client import AblyClient
from rdchat.realtime.publisher import LEASE, Publisher
from rdchat.redis import connection as redis_connection
from rdchat.redis.alarms import Alarms
from rdchat.redis.delay_queue import DelayQueue
from rdchat.redis.rates import Rates
from rdchat.redis.snapshots import Snapshots
from rdchat.security.ably_tokens import ably_token
from rdchat.security.caller_tokens import CallerTokens
from rdchat.security.encryption import Encryptor
from rdchat.security.key_set import KeySet
from rdchat.services.attachments import AttachmentService
from rdchat.services.chat import Chat
from rdchat.services.counselings import CounselingService
from rdchat.services.notifier import Notifier
from rdchat.services.rescheduling import ReschedulingService
from rdchat.texts.wording import automated_text
from rdchat.timers.monitor import TimerMonitor
from rdchat.timers.reconciler import Reconciler
from rdchat.timers.worker import TimerWorker
from rdchat.webhooks.dispatch import Webhooks
from statemachine.schedule import Leads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from config import Settings
    from rdchat.common.clock import Clock

log = structlog.get_logger(__name__)

_PASSIVATE_AFTER_SECONDS: Final = 120.0
_PASSIVATE_EVERY_SECONDS: Final = 15.0
_FORGET_EVERY_SECONDS: Final = 600.0
_PROBE_SECONDS: Final = 2.0
#: A worker that has not fired what it holds for so long hangs.
_STUCK_SECONDS: Final = 10.0


async def start_local_endpoint(settings: Settings) -> AblyLocal | None:
    """Start the local Ably endpoint, unless the settings name another one, or Ably itself."""
    if not settings.ably_is_local or settings.ably_endpoint is not None:
        return None
    key_name, _, secret = settings.ably_key.partition(":")
    local = AblyLocal(keys={key_name: secret})
    await local.start(settings.host, settings.ably_local_port)
    return local


class Runtime:
    """One replica. Build with `await Runtime.start(...)`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self.late_writes = LateWrites()
        self.ably_local: AblyLocal | None = None
        self._closers: list[Callable[[], Awaitable[Any]]] = []
        self._probes: set[asyncio.Future[Any]] = set()
        self._worker: TimerWorker | None = None

    @classmethod
    async def start(
        cls, settings: Settings, *, database_url: str, redis_url: str, clock: Clock | None = None
    ) -> Runtime:
        """Start a replica on running stores. Raises UnavailableError when PostgreSQL does not answer."""
        self = cls(settings, clock or CorrectedClock())
        try:
            await self._start(database_url, redis_url)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Stop, letting what is under way finish."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        while self._closers:
            closer = self._closers.pop()
            try:
                await closer()
            except Exception:
                # The others still want to be closed, the stores above all.
                log.exception("a part did not close")

    # ---- building -----------------------------------------------------------------------------------------

    async def _start(self, database_url: str, redis_url: str) -> None:
        settings = self.settings
        self.encryptor = encryptor = Encryptor(settings.encryption_keys)
        self.pool = await pool.connect(database_url)
        self._closers.append(lambda: pool.close(self.pool))
        applied = await migrate(self.pool)
        if applied:
            log.info("migrations applied", names=applied)
        await self._start_clock()

        self.redis = redis_connection.connect(redis_url)
        self._closers.append(self.redis.aclose)
        snapshots = Snapshots(self.redis)
        self.rates = Rates(self.redis, settings.rate_limits)
        self.rates.start()
        self._closers.append(self.rates.close)
        self._woken = asyncio.Event()
        self.queue = DelayQueue(self.redis, on_scheduled=self._woken.set)

        self.ably = await self._start_ably()
        self.publisher = Publisher(self.pool, self.ably, encryptor, self.metrics)
        self.publisher.start(relay="relay" in settings.roles)
        self._closers.append(self.publisher.close)
        self.webhooks = Webhooks(
            settings.webhook_urls,
            settings.webhook_secrets,
            allow_private=settings.webhook_allow_private,
            pool=self.pool,
            encryptor=encryptor,
            clock=self.clock,
            metrics=self.metrics,
        )
        if "relay" in settings.roles:
            self.webhooks.start()
            self._closers.append(self.webhooks.close)

        text_of = partial(automated_text, settings.texts)
        storage = StoredSessions(
            self.pool,
            snapshots,
            encryptor=encryptor,
            limits=self.limits,
            outbox_lease=LEASE,
            endpoints=self.webhooks.endpoints,
            text_of=text_of,
        )
        aftermath = PostCommitEffects(
            self.publisher, snapshots, self.queue, self.metrics, on_notified=self.webhooks.wake
        )
        aftermath.start()
        self._closers.append(aftermath.close)
        self.engine = Engine(storage, aftermath, self.clock)
        self.engine.start()
        self._closers.append(self.engine.close)
        passivation = keep_running(self._passivate, "passivation")
        self._closers.append(lambda: cancel(passivation))

        self.tokens = await self._caller_tokens()
        self.counselings = CounselingService(
            pool=self.pool,
            engine=self.engine,
            queue=self.queue,
            notifier=Notifier(publisher=self.publisher, webhooks=self.webhooks, encryptor=encryptor),
            encryptor=encryptor,
            clock=self.clock,
            limits=self.limits,
            leads=Leads(settings.initial_message_lead, settings.end_warning_lead),
            language=settings.language,
            texts=settings.texts,
        )
        self.rescheduling = ReschedulingService(
            pool=self.pool,
            counselings=self.counselings,
            effects=aftermath,
            queue=self.queue,
            encryptor=encryptor,
            clock=self.clock,
            limits=self.limits,
            leads=self.counselings.leads,
            extension_step=settings.extension_step,
            text_of=text_of,
        )
        self.chat = Chat(
            pool=self.pool,
            engine=self.engine,
            ably=self.ably,
            ably_key=settings.ably_key,
            publisher=self.publisher,
            encryptor=encryptor,
            clock=self.clock,
        )
        self._closers.append(self._start_housekeeping())
        self.attachments = AttachmentService(
            pool=self.pool,
            chat=self.chat,
            storage=storage_for(settings),
            examiner=Examiner(largest=2 * settings.max_attachment),
            links=Links(settings.encryption_keys.values(), self.clock),
            encryptor=encryptor,
            clock=self.clock,
        )
        if "worker" in settings.roles:
            self.attachments.start()
            self._closers.append(self.attachments.close)
        self.monitor = TimerMonitor(self.pool, self.queue, self.clock)
        self.monitor.start()
        self._closers.append(self.monitor.close)
        if "worker" in settings.roles:
            await self._start_timers(redis_url)
        self._show_metrics()

    async def _start_clock(self) -> None:
        clock = self.clock
        if not isinstance(clock, CorrectedClock):
            return
        keeper = ClockKeeper(self.pool, clock)
        await keeper.start()
        self._closers.append(keeper.close)
        if clock.problem is not None:
            log.warning("PostgreSQL's clock is followed", what=clock.problem)
        self.metrics.gauge(
            "rdchat_clock_offset_seconds",
            "How far this machine's clock is ahead of PostgreSQL's, which is followed.",
            lambda: clock.machine_ahead_seconds,
        )

    @property
    def limits(self) -> Limits:
        """The limits of booking."""
        settings = self.settings
        return Limits(
            shortest=settings.min_session,
            longest=settings.max_session,
            horizon=settings.booking_horizon,
            per_client=settings.max_active_per_client,
            per_psychologist=settings.max_active_per_psychologist,
        )

    async def _start_ably(self) -> AblyClient:
        settings = self.settings
        endpoint = settings.ably_endpoint
        self.ably_local = await start_local_endpoint(settings)
        if self.ably_local is not None:
            self._closers.append(self.ably_local.close)
            endpoint = self.ably_local.address
        ably = AblyClient(settings.ably_key, endpoint=endpoint, server_token=self._server_token)
        self._closers.append(ably.close)
        return ably

    def _server_token(self) -> str:
        return ably_token(
            self.settings.ably_key,
            capability={"*": ["*"]},
            client_id="*",
            lifetime=timedelta(hours=1),
            now=self.clock.now(),
        )

    async def _caller_tokens(self) -> CallerTokens:
        settings = self.settings
        keys = None
        if settings.jwt_jwks_url is not None:
            key_set = KeySet(settings.jwt_jwks_url)
            await key_set.start()
            self._closers.append(key_set.close)
            keys = key_set.keys
        return CallerTokens(
            algorithms=settings.jwt_algorithms,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            clock=self.clock,
            secret=settings.jwt_secret,
            keys=keys,
        )

    async def _start_timers(self, redis_url: str) -> None:
        reconciler = Reconciler(self.pool, self.queue, self.engine, self.clock)
        alarms = Alarms(redis_url, on_wake=self._woken.set, on_reconnect=reconciler.wake)
        worker = TimerWorker(
            queue=self.queue,
            alarms=alarms,
            pool=self.pool,
            engine=self.engine,
            clock=self.clock,
            metrics=self.metrics,
            woken=self._woken,
            on_doubt=reconciler.wake,
        )
        self.metrics.gauge("rdchat_jobs_held", "Jobs claimed and not settled.", lambda: worker.held)
        self.metrics.gauge(
            "rdchat_jobs_unfired_seconds",
            "How long the first claimed job has been due.",
            lambda: worker.overdue_ms / 1000,
        )
        self._worker = worker
        await alarms.start()
        self._closers.append(alarms.close)
        worker.start()
        self._closers.append(worker.close)
        reconciler.start()
        self._closers.append(reconciler.close)

    async def _passivate(self) -> None:
        while True:
            await asyncio.sleep(_PASSIVATE_EVERY_SECONDS)
            self.engine.passivate(idle_seconds=_PASSIVATE_AFTER_SECONDS)

    def _start_housekeeping(self) -> Callable[[], Awaitable[None]]:
        housekeeping = keep_running(self._forget_answers, "housekeeping")
        self.late_writes.start()

        async def close() -> None:
            await cancel(housekeeping)
            await self.late_writes.close()

        return close

    async def _forget_answers(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                await idempotency.forget(self.pool, self.clock.now() - idempotency.KEPT)
            await asyncio.sleep(_FORGET_EVERY_SECONDS)

    def _show_metrics(self) -> None:
        self.metrics.gauge("rdchat_live_actors", "Sessions in memory.", lambda: self.engine.live_actors)
        self.metrics.gauge(
            "rdchat_commands_waiting",
            "People's commands that wait for their answer.",
            lambda: self.engine.waiting,
        )
        self.metrics.gauge(
            "rdchat_outbox_held", "Commits that this process has yet to publish.", lambda: self.publisher.held
        )
        status = self.monitor
        self.metrics.gauge(
            "rdchat_queue_waiting", "Jobs that wait in the delay queue.", lambda: status.status.waiting or 0
        )
        self.metrics.gauge(
            "rdchat_queue_leased", "Jobs that some worker has claimed.", lambda: status.status.leased or 0
        )
        self.metrics.gauge(
            "rdchat_automations_overdue",
            "Automations that nobody has tried although they are far too late.",
            lambda: status.status.overdue,
        )

    # ---- health -------------------------------------------------------------------------------------------

    async def health(self) -> dict[str, str]:
        """Ask each store for a sign of life, and whether timers are run: `ok` or what is wrong, by part."""
        postgresql, redis = await asyncio.gather(
            self._probe(pool.probe(self.pool)), self._probe(self.redis.probe())
        )
        clock = self.clock.problem if isinstance(self.clock, CorrectedClock) else None
        return {"postgresql": postgresql, "redis": redis, "timers": self._timers(), "clock": clock or "ok"}

    def _timers(self) -> str:
        unfired = self._worker.overdue_ms / 1000 if self._worker is not None else 0.0
        if unfired > _STUCK_SECONDS:
            return f"stuck: a claimed automation has been due for {unfired:.0f} s"
        return self.monitor.status.problem or "ok"

    @property
    def runs_timers(self) -> bool:
        """Whether this replica has a worker."""
        return self._worker is not None

    async def _probe(self, question: Coroutine[Any, Any, Any]) -> str:
        # Not `asyncio.timeout`: a cancelled question to a hanging server takes its time to come back.
        probe = asyncio.ensure_future(question)
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        await asyncio.wait({probe}, timeout=_PROBE_SECONDS)
        if not probe.done():
            probe.cancel()
            return "away"
        return "away" if probe.cancelled() or probe.exception() is not None else "ok"

    def _probe_ended(self, probe: asyncio.Future[Any]) -> None:
        self._probes.discard(probe)
        # Whoever asked may have gone: an error that nobody reads would be complained of when it is collected.
        if not probe.cancelled():
            probe.exception()
