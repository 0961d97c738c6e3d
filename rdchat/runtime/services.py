"""The services of a replica: what handlers call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.domain.booking_rules import BookingRules
from rdchat.files.examiner import Examiner
from rdchat.files.links import Links
from rdchat.files.storage import storage_for
from rdchat.files.virus_scanner import VirusScanner
from rdchat.security.sealed_files import SealedFiles
from rdchat.services.access_control import AccessControl
from rdchat.services.appointment_changes import AppointmentChanges
from rdchat.services.attachments import AttachmentService
from rdchat.services.calendars import CalendarService
from rdchat.services.chat import ChatService
from rdchat.services.client_notes import ClientNotesService
from rdchat.services.conversations import ConversationService
from rdchat.services.counselings import CounselingService
from rdchat.services.idempotency import IdempotencyService
from rdchat.services.notifications import NotificationService
from rdchat.services.notifier import Notifier
from rdchat.services.organizations import OrganizationService
from rdchat.services.oversight import OversightService
from rdchat.services.psychologists import PsychologistService
from rdchat.services.quick_replies import QuickReplyService
from rdchat.services.realtime_access import RealtimeAccessService
from rdchat.services.reassigning import ReassigningService
from rdchat.services.rehearsals import RehearsalService
from rdchat.services.reminders import ReminderService
from rdchat.services.rescheduling import ReschedulingService
from rdchat.services.slots import SlotService
from rdchat.services.wall_times import WallTimeService
from statemachine.schedule import Leads

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Core, Delivery, Stores
    from rdchat.services.access_list import AccessList
    from rdchat.services.audit import AuditTrail


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers call."""

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


def start_services(
    base: Base, stores: Stores, delivery: Delivery, core: Core, access: AccessList, *, audit: AuditTrail
) -> Services:
    """Make the services, and start those that tidy up after themselves."""
    reminders = _reminders(base, stores, delivery)
    counselings = _counselings(base, stores, core, reminders, audit)
    chat = ChatService(
        pool=stores.pool,
        engine=core.engine,
        ably=delivery.ably,
        publisher=delivery.publisher,
        keys=stores.keys,
        clock=base.clock,
        audit=audit,
    )
    idempotency = IdempotencyService(pool=stores.pool, keys=stores.keys, clock=base.clock)
    idempotency.start()
    base.close_in_turn(idempotency.close)
    changes = _changes(base, stores, core)
    rescheduling = _rescheduling(base, stores, counselings, changes)
    psychologists = PsychologistService(
        pool=stores.pool,
        notifier=counselings.notifier,
        clock=base.clock,
        language=base.settings.language,
    )
    wall_times = WallTimeService(pool=stores.pool, rescheduling=rescheduling, clock=base.clock)
    if "worker" in base.settings.roles:
        wall_times.start()
        base.close_in_turn(wall_times.close)
        counselings.reminders.start()
        base.close_in_turn(counselings.reminders.close)
    return Services(
        chat=chat,
        conversations=ConversationService(pool=stores.pool, chat=chat, keys=stores.keys, clock=base.clock),
        realtime_access=RealtimeAccessService(
            pool=stores.pool,
            keys=stores.keys,
            ably=delivery.ably,
            ably_key=base.settings.ably_key,
            clock=base.clock,
            lifetime=base.settings.ably_token_lifetime,
            audit=audit,
            is_sealed=base.settings.ably_cipher,
        ),
        counselings=counselings,
        rehearsals=RehearsalService(counselings=counselings),
        calendars=CalendarService(
            pool=stores.pool, access=access, clock=base.clock, language=base.settings.language
        ),
        rescheduling=rescheduling,
        reassigning=ReassigningService(
            pool=stores.pool, counselings=counselings, changes=changes, clock=base.clock
        ),
        wall_times=wall_times,
        attachments=_start_attachments(base, stores, chat, access, audit),
        psychologists=psychologists,
        access_control=AccessControl(
            pool=stores.pool, access=access, psychologists=psychologists, clock=base.clock
        ),
        slots=SlotService(
            pool=stores.pool,
            psychologists=psychologists,
            clock=base.clock,
            limits=base.limits,
            rules=counselings.rules,
        ),
        notifications=NotificationService(pool=stores.pool, clock=base.clock, keys=stores.keys),
        oversight=OversightService(pool=stores.pool, clock=base.clock),
        organizations=OrganizationService(
            organizations=base.settings.organizations, language=base.settings.language
        ),
        quick_replies=QuickReplyService(pool=stores.pool, keys=stores.keys, clock=base.clock),
        client_notes=ClientNotesService(pool=stores.pool, keys=stores.keys, clock=base.clock, audit=audit),
        idempotency=idempotency,
    )


def _reminders(base: Base, stores: Stores, delivery: Delivery) -> ReminderService:
    return ReminderService(
        pool=stores.pool,
        queue=stores.queue,
        notifier=Notifier(publisher=delivery.publisher, webhooks=delivery.webhooks, keys=stores.keys),
        clock=base.clock,
        metrics=base.metrics,
        leads=base.settings.reminders,
        language=base.settings.language,
    )


def _counselings(
    base: Base, stores: Stores, core: Core, reminders: ReminderService, audit: AuditTrail
) -> CounselingService:
    settings = base.settings
    return CounselingService(
        pool=stores.pool,
        engine=core.engine,
        queue=stores.queue,
        notifier=reminders.notifier,
        reminders=reminders,
        keys=stores.keys,
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
        audit=audit,
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


def _start_attachments(
    base: Base, stores: Stores, chat: ChatService, access: AccessList, audit: AuditTrail
) -> AttachmentService:
    settings = base.settings
    attachments = AttachmentService(
        pool=stores.pool,
        chat=chat,
        access=access,
        files=SealedFiles(storage_for(settings)),
        examiner=Examiner(
            largest=2 * settings.max_attachment,
            scanner=VirusScanner(settings.clamd) if settings.clamd is not None else None,
        ),
        links=Links(settings.encryption_keys.values(), base.clock, base_url=settings.base_url),
        keys=stores.keys,
        clock=base.clock,
        audit=audit,
    )
    if "worker" in settings.roles:
        attachments.start()
        base.close_in_turn(attachments.close)
    return attachments
