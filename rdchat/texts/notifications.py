"""What notifications say: their titles and texts, in both languages, to each of those who are told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from rdchat.domain.appointment import Appointment
from rdchat.domain.notification import Notification
from rdchat.texts.wording import day_in_words, time_in_words, wall_time
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine import Session


class _Words(NamedTuple):
    """A title, and the text to the client, to the psychologist, and to one who was the psychologist before.

    `psychologist` None: the same as to the client.
    """

    title: str
    client: str
    psychologist: str | None = None
    former: str | None = None


_NOTIFICATIONS: Final = {
    NotificationType.COUNSELING_BOOKED: _Words(
        "Konseling terjadwal",
        "Sesi konseling Anda dengan {other} sudah terjadwal: {when}.",
        "{other} memesan sesi konseling dengan Anda: {when}.",
    ),
    NotificationType.REMINDER: _Words(
        "Pengingat sesi konseling", "Sesi konseling Anda dengan {other}: {when}."
    ),
    NotificationType.CHAT_ENABLED: _Words("Sesi dimulai", "Sesi chat dengan {other} sudah dibuka."),
    NotificationType.SESSION_COMPLETED: _Words(
        "Sesi selesai", "Sesi chat dengan {other} telah selesai. Percakapannya masih dapat Anda baca."
    ),
    NotificationType.SESSION_EXTENDED: _Words(
        "Sesi diperpanjang", "Sesi chat dengan {other} diperpanjang sampai {end}."
    ),
    NotificationType.SESSION_RESCHEDULED: _Words(
        "Jadwal berubah", "Sesi konseling dengan {other} dipindahkan ke {when}."
    ),
    NotificationType.SESSION_CANCELLED: _Words(
        "Sesi dibatalkan", "Sesi konseling dengan {other} pada {when} dibatalkan."
    ),
    NotificationType.SESSION_MISSED: _Words(
        "Sesi tidak dapat dibuka",
        "Mohon maaf, sesi chat dengan {other} tidak dapat dibuka tepat waktu. Ini bukan kesalahan Anda. "
        "Anda dapat memesan waktu yang lain.",
        "Mohon maaf, sesi chat dengan {other} tidak dapat dibuka tepat waktu.",
    ),
    NotificationType.COUNSELING_REASSIGNED: _Words(
        "Pergantian psikolog",
        "Sesi konseling Anda sekarang dengan {psychologist}, waktunya tetap: {when}.",
        "Anda mengambil alih sesi konseling dengan {client}: {when}.",
        "Sesi konseling dengan {client} pada {when} dialihkan ke {psychologist}.",
    ),
    NotificationType.PSYCHOLOGIST_UNAVAILABLE: _Words(
        "Psikolog tidak tersedia",
        "Mohon maaf, {other} tidak lagi bertugas pada waktu sesi konseling Anda: {when}. Sesi Anda tetap "
        "tercatat sampai dipindahkan, dialihkan ke psikolog lain, atau dibatalkan.",
        "Sesi konseling dengan {other} berada di luar jam tugas Anda: {when}. Sesi itu tetap tercatat sampai "
        "dipindahkan, dialihkan, atau dibatalkan.",
    ),
}

_NOTIFICATIONS_IN_ENGLISH: Final = {
    NotificationType.COUNSELING_BOOKED: _Words(
        "Counselling booked",
        "Your counselling session with {other} is booked: {when}.",
        "{other} has booked a counselling session with you: {when}.",
    ),
    NotificationType.REMINDER: _Words(
        "Reminder of your counselling session", "Your counselling session with {other}: {when}."
    ),
    NotificationType.CHAT_ENABLED: _Words("Session started", "The chat session with {other} is open."),
    NotificationType.SESSION_COMPLETED: _Words(
        "Session ended", "The chat session with {other} has ended. You can still read the conversation."
    ),
    NotificationType.SESSION_EXTENDED: _Words(
        "Session extended", "The chat session with {other} was extended until {end}."
    ),
    NotificationType.SESSION_RESCHEDULED: _Words(
        "New time", "The counselling session with {other} was moved to {when}."
    ),
    NotificationType.SESSION_CANCELLED: _Words(
        "Session cancelled", "The counselling session with {other} on {when} was cancelled."
    ),
    NotificationType.SESSION_MISSED: _Words(
        "Session could not be opened",
        "We are sorry: the chat session with {other} could not be opened in time. You did nothing wrong. "
        "You can book another time.",
        "We are sorry: the chat session with {other} could not be opened in time.",
    ),
    NotificationType.COUNSELING_REASSIGNED: _Words(
        "Change of psychologist",
        "Your counselling session is now with {psychologist}, at the same time: {when}.",
        "You take over a counselling session with {client}: {when}.",
        "The counselling session with {client} on {when} was handed over to {psychologist}.",
    ),
    NotificationType.PSYCHOLOGIST_UNAVAILABLE: _Words(
        "Psychologist not available",
        "We are sorry: {other} no longer works at the time of your counselling session: {when}. Your session "
        "stays booked until it is moved, handed over to another psychologist, or cancelled.",
        "The counselling session with {other} is outside your working hours: {when}. It stays booked until "
        "it is moved, handed over, or cancelled.",
    ),
}

_WORDS: Final = {"id": _NOTIFICATIONS, "en": _NOTIFICATIONS_IN_ENGLISH}


#: Where the names of the two stand in a text.
_CLIENT: Final = "{client}"
_PSYCHOLOGIST: Final = "{psychologist}"
_PLACES: Final = re.compile(f"{re.escape(_CLIENT)}|{re.escape(_PSYCHOLOGIST)}")


def notification_words(appointment: Appointment, person_id: UUID, kind: NotificationType) -> tuple[str, str]:
    """Give the title and the text of what one person is told, in the appointment's language.

    Days and times are those of the zone of the one who is told. The text has places for names: `with_names`.
    """
    words = _WORDS[appointment.language][kind]
    other = _PSYCHOLOGIST
    text = words.client
    if person_id != appointment.client_id:
        other = _CLIENT
        is_former = person_id != appointment.psychologist_id
        text = (words.former if is_former else None) or words.psychologist or words.client
    zone = appointment.timezone_of(person_id)
    starts_at, ends_at = wall_time(zone, appointment.starts_at), wall_time(zone, appointment.ends_at)
    day = day_in_words(starts_at.date(), appointment.language)
    return words.title, text.format(
        client=_CLIENT,
        psychologist=_PSYCHOLOGIST,
        other=other,
        when=f"{day}, {time_in_words(starts_at.time())} ({zone})",
        end=f"{time_in_words(ends_at.time())} ({zone})",
    )


def with_names(text: str, *, client: str, psychologist: str) -> str:
    """Put the names of the two into the text of a notification."""
    # At once: a name is not looked through for places.
    return _PLACES.sub(lambda place: client if place[0] == _CLIENT else psychologist, text)


def appointment_notification(
    appointment: Appointment,
    notification_id: UUID,
    person_id: UUID,
    kind: NotificationType,
    at: datetime,
    *,
    reason: str | None = None,
) -> Notification:
    """Put what one person is told of an appointment into words; `reason` is in the words of who gave it."""
    title, template = notification_words(appointment, person_id, kind)
    return Notification(
        id=notification_id,
        person_id=person_id,
        type=kind,
        title=title,
        message=with_names(
            template, client=appointment.client_name, psychologist=appointment.psychologist_name
        ),
        template=template,
        session_id=appointment.session_id,
        counseling_id=appointment.counseling_id,
        psychologist_id=appointment.psychologist_id,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        timezone=appointment.timezone_of(person_id),
        reason=reason,
        created_at=at,
    )


def notification(
    session: Session,
    notification_id: UUID,
    person_id: UUID,
    kind: NotificationType,
    at: datetime,
    *,
    reason: str | None = None,
) -> Notification:
    """Put what one participant is told of a session into words."""
    appointment = Appointment.of_session(session)
    return appointment_notification(appointment, notification_id, person_id, kind, at, reason=reason)
