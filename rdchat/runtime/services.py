"""The services of a replica, and who may call them; its timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.domain.booking_rules import BookingRules
from rdchat.files.examiner import Examiner
from rdchat.files.links import Links
from rdchat.files.storage import storage_for
from rdchat.redis.alarms import Alarms
from rdchat.security.caller_tokens import CallerTokens
from rdchat.security.key_set import KeySet
from rdchat.services.appointment_changes import AppointmentChanges
from rdchat.services.attachments import AttachmentService
from rdchat.services.calendars import CalendarService
from rdchat.services.chat import ChatService
from rdchat.services.counselings import CounselingService
from rdchat.services.idempotency import IdempotencyService
from rdchat.services.notifications import NotificationService
from rdchat.services.notifier import Notifier
from rdchat.services.organizations import OrganizationService
from rdchat.services.oversight import OversightService
from rdchat.services.psychologists import PsychologistService
from rdchat.services.realtime_access import RealtimeAccessService
from rdchat.services.reassigning import ReassigningService
from rdchat.services.reminders import ReminderService
from rdchat.services.rescheduling import ReschedulingService
from rdchat.services.seen_people import SeenPeople
from rdchat.services.wall_times import WallTimeService
from rdchat.timers.monitor import TimerMonitor
from rdchat.timers.reconciler import Reconciler
from rdchat.timers.worker import TimerWorker
from statemachine.schedule import Leads

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Core, Delivery, Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers call."""

    chat: ChatService
    realtime_access: RealtimeAccessService
    counselings: CounselingService
    calendars: CalendarService
    rescheduling: ReschedulingService
    reassigning: ReassigningService
    wall_times: WallTimeService
    attachments: AttachmentService
    psychologists: PsychologistService
    notifications: NotificationService
    oversight: OversightService
    organizations: OrganizationService
    idempotency: IdempotencyService


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """What runs automations when they are due, and what looks whether that happens."""

    monitor: TimerMonitor
    worker: TimerWorker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """What knows who calls. `key_set` is None where tokens are signed with a shared secret."""

    tokens: CallerTokens
    people: SeenPeople
    key_set: KeySet | None


async def start_callers(base: Base, stores: Stores) -> Callers:
    """Start what verifies callers' tokens, with the identity provider's keys where it has some."""
    settings = base.settings
    key_set = None
    if settings.jwt_jwks_url is not None:
        key_set = KeySet(settings.jwt_jwks_url)
        base.close_in_turn(key_set.close)
        await key_set.start()
    people = SeenPeople(stores.pool, base.clock)
    people.start()
    base.close_in_turn(people.close)
    tokens = CallerTokens(
        algorithms=settings.jwt_algorithms,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        clock=base.clock,
        secret=settings.jwt_secret,
        keys=key_set.keys if key_set is not None else None,
        find_key=key_set.find if key_set is not None else None,
    )
    return Callers(tokens=tokens, people=people, key_set=key_set)


def start_services(base: Base, stores: Stores, delivery: Delivery, core: Core) -> Services:
    """Make the services, and start those that tidy up after themselves."""
    reminders = _reminders(base, stores, delivery)
    counselings = _counselings(base, stores, core, reminders)
    chat = ChatService(
        pool=stores.pool,
        engine=core.engine,
        ably=delivery.ably,
        publisher=delivery.publisher,
        encryptor=base.encryptor,
        clock=base.clock,
    )
    idempotency = IdempotencyService(pool=stores.pool, encryptor=base.encryptor, clock=base.clock)
    idempotency.start()
    base.close_in_turn(idempotency.close)
    changes = _changes(base, stores, core)
    rescheduling = _rescheduling(base, stores, counselings, changes)
    wall_times = WallTimeService(pool=stores.pool, rescheduling=rescheduling, clock=base.clock)
    if "worker" in base.settings.roles:
        wall_times.start()
        base.close_in_turn(wall_times.close)
        counselings.reminders.start()
        base.close_in_turn(counselings.reminders.close)
    return Services(
        chat=chat,
        realtime_access=RealtimeAccessService(
            pool=stores.pool,
            ably=delivery.ably,
            ably_key=base.settings.ably_key,
            clock=base.clock,
            lifetime=base.settings.ably_token_lifetime,
        ),
        counselings=counselings,
        calendars=CalendarService(pool=stores.pool, clock=base.clock, language=base.settings.language),
        rescheduling=rescheduling,
        reassigning=ReassigningService(
            pool=stores.pool, counselings=counselings, changes=changes, clock=base.clock
        ),
        wall_times=wall_times,
        attachments=_start_attachments(base, stores, chat),
        psychologists=PsychologistService(
            pool=stores.pool,
            notifier=counselings.notifier,
            clock=base.clock,
            limits=base.limits,
            rules=counselings.rules,
            language=base.settings.language,
        ),
        notifications=NotificationService(pool=stores.pool, clock=base.clock, encryptor=base.encryptor),
        oversight=OversightService(pool=stores.pool, clock=base.clock),
        organizations=OrganizationService(
            organizations=base.settings.organizations, language=base.settings.language
        ),
        idempotency=idempotency,
    )


def _reminders(base: Base, stores: Stores, delivery: Delivery) -> ReminderService:
    return ReminderService(
        pool=stores.pool,
        queue=stores.queue,
        notifier=Notifier(publisher=delivery.publisher, webhooks=delivery.webhooks, encryptor=base.encryptor),
        clock=base.clock,
        metrics=base.metrics,
        leads=base.settings.reminders,
        language=base.settings.language,
    )


def _counselings(base: Base, stores: Stores, core: Core, reminders: ReminderService) -> CounselingService:
    settings = base.settings
    return CounselingService(
        pool=stores.pool,
        engine=core.engine,
        queue=stores.queue,
        notifier=reminders.notifier,
        reminders=reminders,
        encryptor=base.encryptor,
        clock=base.clock,
        limits=base.limits,
        rules=BookingRules(
            notice=settings.booking_notice,
            cancel_deadline=settings.cancel_deadline,
            max_pending=settings.max_pending_per_client,
        ),
        leads=Leads(settings.initial_message_lead, settings.end_warning_lead),
        language=settings.language,
        organizations=settings.organizations,
    )


def _changes(base: Base, stores: Stores, core: Core) -> AppointmentChanges:
    return AppointmentChanges(
        pool=stores.pool,
        effects=core.effects,
        queue=stores.queue,
        storage=core.storage,
        clock=base.clock,
        limits=base.limits,
    )


def _rescheduling(
    base: Base, stores: Stores, counselings: CounselingService, changes: AppointmentChanges
) -> ReschedulingService:
    return ReschedulingService(
        pool=stores.pool,
        counselings=counselings,
        changes=changes,
        clock=base.clock,
        limits=base.limits,
        leads=counselings.leads,
        extension_step=base.settings.extension_step,
    )


def _start_attachments(base: Base, stores: Stores, chat: ChatService) -> AttachmentService:
    settings = base.settings
    attachments = AttachmentService(
        pool=stores.pool,
        chat=chat,
        storage=storage_for(settings),
        examiner=Examiner(largest=2 * settings.max_attachment),
        links=Links(settings.encryption_keys.values(), base.clock, base_url=settings.base_url),
        encryptor=base.encryptor,
        clock=base.clock,
    )
    if "worker" in settings.roles:
        attachments.start()
        base.close_in_turn(attachments.close)
    return attachments


async def start_timers(
    base: Base, stores: Stores, core: Core, reminders: ReminderService, redis_url: str
) -> Timers:
    """Start looking after timers and, on a worker, running them."""
    monitor = TimerMonitor(stores.pool, stores.queue, base.clock)
    monitor.start()
    base.close_in_turn(monitor.close)
    if "worker" not in base.settings.roles:
        return Timers(monitor=monitor, worker=None)
    reconciler = Reconciler(stores.pool, stores.queue, core.engine, reminders, base.clock)
    alarms = Alarms(redis_url, on_wake=stores.woken.set, on_reconnect=reconciler.wake)
    worker = TimerWorker(
        queue=stores.queue,
        alarms=alarms,
        pool=stores.pool,
        engine=core.engine,
        reminders=reminders,
        clock=base.clock,
        metrics=base.metrics,
        woken=stores.woken,
        on_doubt=reconciler.wake,
    )
    await alarms.start()
    base.close_in_turn(alarms.close)
    worker.start()
    base.close_in_turn(worker.close)
    reconciler.start()
    base.close_in_turn(reconciler.close)
    return Timers(monitor=monitor, worker=worker)
