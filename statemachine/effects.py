"""What must be done once a decision is committed. The machine lists these; the engine performs them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from statemachine.values import value

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine.attachment import Attachment
    from statemachine.session import AutomationKind


class StatusEvent(StrEnum):
    """The `status` of a `session-status` event, as clients see it."""

    CHAT_ENABLED = "chat_enabled"
    ENDING_SOON = "ending_soon"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    RESCHEDULED = "rescheduled"


class NotificationType(StrEnum):
    """The `type` of a personal notification."""

    CHAT_ENABLED = "chat_enabled"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_MISSED = "session_missed"
    SESSION_RESCHEDULED = "session_rescheduled"
    SESSION_EXTENDED = "session_extended"
    SESSION_COMPLETED = "session_completed"
    COUNSELING_REASSIGNED = "counseling_reassigned"
    # No effect asks for those below: they are written by what causes them.
    COUNSELING_BOOKED = "counseling_booked"
    PSYCHOLOGIST_UNAVAILABLE = "psychologist_unavailable"
    REMINDER = "reminder"


@value
class StoreMessage:
    """Store a participant's message under the next `seq`, and deliver it."""

    message_id: UUID
    seq: int
    sender_id: UUID
    text: str
    client_message_id: str | None
    at: datetime
    attachment: Attachment | None = None


@value
class StoreAutomatedMessage:
    """Store and deliver the automated text of `kind`; it comes from the psychologist and is marked."""

    kind: AutomationKind
    seq: int
    at: datetime


@value
class BroadcastStatus:
    """Publish the session's new status to both participants, on the chat channel."""

    event: StatusEvent
    at: datetime
    minutes_left: int | None = None


@value
class Notify:
    """Notify one person on their own channel, wherever they are in the product.

    `reason` is why, in the words of the one who cancelled.
    """

    person_id: UUID
    type: NotificationType
    at: datetime
    reason: str | None = None


@value
class CancelTimers:
    """Cancel the session's timers: remove its remaining automations from the delay queue."""


@value
class RescheduleTimers:
    """Replace the session's plan of automations by the new one."""


@value
class ExcludeListener:
    """Revoke at once what lets a person listen who takes no part any more."""

    person_id: UUID


Effect = (
    StoreMessage
    | StoreAutomatedMessage
    | BroadcastStatus
    | Notify
    | CancelTimers
    | RescheduleTimers
    | ExcludeListener
)
