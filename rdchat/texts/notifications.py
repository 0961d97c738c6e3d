"""What notifications say: their titles and texts, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.appointment import Appointment
from rdchat.domain.notification import Notification
from rdchat.texts.wording import day_in_words, time_in_words, wall_time
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine import Session

_NOTIFICATIONS: Final = {
    NotificationType.CHAT_ENABLED: ("Sesi dimulai", "Sesi chat dengan {client} sudah dibuka."),
    NotificationType.SESSION_CANCELLED: ("Sesi dibatalkan", "Sesi konseling dengan {other} dibatalkan."),
    NotificationType.SESSION_MISSED: (
        "Sesi terlewat",
        "Sesi chat dengan {other} tidak dapat dibuka tepat waktu.",
    ),
    NotificationType.SESSION_RESCHEDULED: (
        "Jadwal berubah",
        "Sesi konseling dengan {other} dipindahkan ke {when}.",
    ),
    NotificationType.SESSION_EXTENDED: (
        "Sesi diperpanjang",
        "Sesi chat dengan {other} diperpanjang sampai {end}.",
    ),
    NotificationType.COUNSELING_BOOKED: ("Konseling baru", "{client} memesan sesi konseling: {when}."),
}

_NOTIFICATIONS_IN_ENGLISH: Final = {
    NotificationType.CHAT_ENABLED: ("Session started", "The chat session with {client} is open."),
    NotificationType.SESSION_CANCELLED: (
        "Session cancelled",
        "The counselling session with {other} was cancelled.",
    ),
    NotificationType.SESSION_MISSED: (
        "Session missed",
        "The chat session with {other} could not be opened in time.",
    ),
    NotificationType.SESSION_RESCHEDULED: (
        "New time",
        "The counselling session with {other} was moved to {when}.",
    ),
    NotificationType.SESSION_EXTENDED: (
        "Session extended",
        "The chat session with {other} was extended until {end}.",
    ),
    NotificationType.COUNSELING_BOOKED: (
        "New counselling",
        "{client} has booked a counselling session: {when}.",
    ),
}

_WORDS: Final = {"id": _NOTIFICATIONS, "en": _NOTIFICATIONS_IN_ENGLISH}


def notification_words(appointment: Appointment, person_id: UUID, kind: NotificationType) -> tuple[str, str]:
    """Give the title and the text of what one participant is told, in the appointment's language.

    Days and times are those of the zone of the one who is told.
    """
    title, text = _WORDS[appointment.language][kind]
    is_psychologist = person_id == appointment.psychologist_id
    other = appointment.client_name if is_psychologist else appointment.psychologist_name
    zone = appointment.timezone_of(person_id)
    starts_at, ends_at = wall_time(zone, appointment.starts_at), wall_time(zone, appointment.ends_at)
    day = day_in_words(starts_at.date(), appointment.language)
    return title, text.format(
        client=appointment.client_name,
        other=other,
        when=f"{day}, {time_in_words(starts_at.time())} ({zone})",
        end=f"{time_in_words(ends_at.time())} ({zone})",
    )


def appointment_notification(
    appointment: Appointment, notification_id: UUID, person_id: UUID, kind: NotificationType, at: datetime
) -> Notification:
    """Put what one participant is told of an appointment into words."""
    title, message = notification_words(appointment, person_id, kind)
    return Notification(
        id=notification_id,
        person_id=person_id,
        type=kind,
        title=title,
        message=message,
        session_id=appointment.session_id,
        counseling_id=appointment.counseling_id,
        created_at=at,
    )


def notification(
    session: Session, notification_id: UUID, person_id: UUID, kind: NotificationType, at: datetime
) -> Notification:
    """Put what one participant is told of a session into words."""
    return appointment_notification(Appointment.of_session(session), notification_id, person_id, kind, at)
