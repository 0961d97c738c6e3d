"""What notifications say: their titles and texts, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.notification import Notification
from rdchat.texts.wording import day_in_words, time_in_words, wall_time

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.texts.wording import Appointment
    from statemachine import Session
    from statemachine.effects import NotificationType


_NOTIFICATIONS: Final = {
    "chat_enabled": ("Sesi dimulai", "Sesi chat dengan {client} sudah dibuka."),
    "session_cancelled": ("Sesi dibatalkan", "Sesi konseling dengan {other} dibatalkan."),
    "session_missed": ("Sesi terlewat", "Sesi chat dengan {other} tidak dapat dibuka tepat waktu."),
    "session_rescheduled": (
        "Jadwal berubah",
        "Sesi konseling dengan {other} dipindahkan ke {when}.",
    ),
    "session_extended": ("Sesi diperpanjang", "Sesi chat dengan {other} diperpanjang sampai {end}."),
    "counseling_booked": ("Konseling baru", "{client} memesan sesi konseling: {when}."),
}


_NOTIFICATIONS_IN_ENGLISH: Final = {
    "chat_enabled": ("Session started", "The chat session with {client} is open."),
    "session_cancelled": ("Session cancelled", "The counselling session with {other} was cancelled."),
    "session_missed": ("Session missed", "The chat session with {other} could not be opened in time."),
    "session_rescheduled": (
        "New time",
        "The counselling session with {other} was moved to {when}.",
    ),
    "session_extended": (
        "Session extended",
        "The chat session with {other} was extended until {end}.",
    ),
    "counseling_booked": ("New counselling", "{client} has booked a counselling session: {when}."),
}


_WORDS: Final = {"id": _NOTIFICATIONS, "en": _NOTIFICATIONS_IN_ENGLISH}


def notification_words(session: Appointment, person_id: UUID, kind: str) -> tuple[str, str]:
    """Return the title and the text of a participant's notification, in the session's language."""
    title, text = _WORDS[session.language][kind]
    other = session.client_name if person_id == session.psychologist_id else session.psychologist_name
    starts_at, ends_at = wall_time(session, session.starts_at), wall_time(session, session.ends_at)
    zone, day = session.timezone, day_in_words(starts_at.date(), session.language)
    return title, text.format(
        client=session.client_name,
        other=other,
        when=f"{day}, {time_in_words(starts_at.time())} ({zone})",
        end=f"{time_in_words(ends_at.time())} ({zone})",
    )


def notification(
    session: Session, notification_id: UUID, person_id: UUID, kind: NotificationType | str, at: datetime
) -> Notification:
    """Make a participant's notification about a session, with title and text."""
    title, message = notification_words(session, person_id, str(kind))
    return Notification(
        notification_id, person_id, str(kind), title, message, session.id, session.counseling_id, at
    )
