"""Everything wired together: one replica of the service, without its HTTP edge.

`Runtime.start` builds the parts in the order in which they need each other: stores, delivery, engine,
services, timers. `close` takes them down in the opposite order, so that whatever is under way finishes: first
no new timers, then the engine, then what the last commits have left to deliver.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rdchat.common.corrected_clock import CorrectedClock
from rdchat.operations.gauges import show_gauges
from rdchat.operations.health import Health
from rdchat.operations.rasterising import Rasteriser
from rdchat.runtime.audit import start_audit
from rdchat.runtime.callers import start_callers
from rdchat.runtime.console import start_console
from rdchat.runtime.parts import (
    make_base,
    open_stores,
    start_delivery,
    start_engine,
    start_local_endpoint,
)
from rdchat.runtime.privacy import start_privacy
from rdchat.runtime.services import start_services
from rdchat.runtime.timers import start_timers

if TYPE_CHECKING:
    from config import Settings
    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.domain.booking import Limits
    from rdchat.engine.engine import Engine
    from rdchat.local.ably import AblyLocal
    from rdchat.operations.dead_letters import DeadLetters
    from rdchat.operations.operator_log import OperatorLog
    from rdchat.operations.overview import OverviewService
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.ably_client import AblyClient
    from rdchat.realtime.publisher import Publisher
    from rdchat.realtime.supplement import MakeSupplement
    from rdchat.redis.announcements import Announcements
    from rdchat.redis.delay_queue import DelayQueue
    from rdchat.redis.rates import Rates
    from rdchat.runtime.privacy import Privacy
    from rdchat.security.caller_tokens import CallerTokens
    from rdchat.services.access_control import AccessControl
    from rdchat.services.access_list import AccessList
    from rdchat.services.attachments import AttachmentService
    from rdchat.services.audit import AuditTrail
    from rdchat.services.calendars import CalendarService
    from rdchat.services.chat import ChatService
    from rdchat.services.client_notes import ClientNotesService
    from rdchat.services.conversations import ConversationService
    from rdchat.services.counselings import CounselingService
    from rdchat.services.idempotency import IdempotencyService
    from rdchat.services.notifications import NotificationService
    from rdchat.services.organizations import OrganizationService
    from rdchat.services.oversight import OversightService
    from rdchat.services.psychologists import PsychologistService
    from rdchat.services.quick_replies import QuickReplyService
    from rdchat.services.realtime_access import RealtimeAccessService
    from rdchat.services.reassigning import ReassigningService
    from rdchat.services.rehearsals import RehearsalService
    from rdchat.services.rescheduling import ReschedulingService
    from rdchat.services.seen_people import SeenPeople
    from rdchat.services.slots import SlotService
    from rdchat.services.wall_times import WallTimeService
    from rdchat.timers.monitor import TimerMonitor
    from rdchat.webhooks.dispatch import Webhooks

__all__ = ["Runtime", "start_local_endpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One replica. Build with `await Runtime.start(...)`."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    limits: Limits
    tokens: CallerTokens
    access: AccessList
    people: SeenPeople
    pool: Pool
    queue: DelayQueue
    rates: Rates
    announcements: Announcements
    ably_local: AblyLocal | None
    ably: AblyClient
    publisher: Publisher
    webhooks: Webhooks
    engine: Engine
    monitor: TimerMonitor
    health: Health
    chat: ChatService
    conversations: ConversationService
    realtime_access: RealtimeAccessService
    counselings: CounselingService
    rehearsals: RehearsalService
    calendars: CalendarService
    rescheduling: ReschedulingService
    reassigning: ReassigningService
    wall_times: WallTimeService
    attachments: AttachmentService
    psychologists: PsychologistService
    access_control: AccessControl
    slots: SlotService
    notifications: NotificationService
    oversight: OversightService
    organizations: OrganizationService
    quick_replies: QuickReplyService
    client_notes: ClientNotesService
    idempotency: IdempotencyService
    overview: OverviewService
    dead_letters: DeadLetters
    operator_log: OperatorLog
    rasteriser: Rasteriser
    audit: AuditTrail
    privacy: Privacy
    _closing: AsyncExitStack = field(repr=False)

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        database_url: str,
        redis_url: str,
        clock: Clock | None = None,
        make_supplement: MakeSupplement | None = None,
    ) -> Runtime:
        """Start a replica on running stores. Raise UnavailableError when PostgreSQL does not answer.

        `make_supplement` makes what adds to the events that are published.
        """
        async with AsyncExitStack() as closing:
            base = make_base(settings, clock or CorrectedClock(), closing)
            stores = await open_stores(base, database_url, redis_url)
            delivery = await start_delivery(base, stores, make_supplement)
            core = start_engine(base, stores, delivery)
            callers = await start_callers(base, stores, delivery)
            audit = await start_audit(base, stores)
            services = start_services(base, stores, delivery, core, callers.access, audit=audit)
            timers = await start_timers(base, stores, core, services.counselings.reminders, redis_url)
            health = Health(
                stores.pool,
                stores.redis,
                timers.monitor,
                clock=base.clock,
                worker=timers.worker,
                key_set=callers.key_set,
            )
            base.close_in_turn(health.close)
            show_gauges(
                base.metrics,
                engine=core.engine,
                publisher=delivery.publisher,
                monitor=timers.monitor,
                worker=timers.worker,
            )
            rasteriser = Rasteriser()
            base.close_in_turn(rasteriser.close)
            console = start_console(base, stores, delivery, core, timers)
            return cls(
                settings=settings,
                clock=base.clock,
                metrics=base.metrics,
                limits=base.limits,
                tokens=callers.tokens,
                access=callers.access,
                people=callers.people,
                pool=stores.pool,
                queue=stores.queue,
                rates=stores.rates,
                announcements=stores.announcements,
                ably_local=delivery.ably_local,
                ably=delivery.ably,
                publisher=delivery.publisher,
                webhooks=delivery.webhooks,
                engine=core.engine,
                monitor=timers.monitor,
                health=health,
                chat=services.chat,
                conversations=services.conversations,
                realtime_access=services.realtime_access,
                counselings=services.counselings,
                rehearsals=services.rehearsals,
                calendars=services.calendars,
                rescheduling=services.rescheduling,
                reassigning=services.reassigning,
                wall_times=services.wall_times,
                attachments=services.attachments,
                psychologists=services.psychologists,
                access_control=services.access_control,
                slots=services.slots,
                notifications=services.notifications,
                oversight=services.oversight,
                organizations=services.organizations,
                quick_replies=services.quick_replies,
                client_notes=services.client_notes,
                idempotency=services.idempotency,
                overview=console.overview,
                dead_letters=console.dead_letters,
                operator_log=console.operator_log,
                rasteriser=rasteriser,
                audit=audit,
                privacy=start_privacy(base, stores, services, callers),
                _closing=closing.pop_all(),
            )

    async def close(self) -> None:
        """Stop, letting what is under way finish."""
        await self._closing.aclose()
