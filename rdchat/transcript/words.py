"""The words of a transcript, by language. `{name}` and `{when}` are filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.texts.wording import day_in_words, time_in_words, wall_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rdchat.transcript.builder import FileLine
    from statemachine import Session

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "id": {
        "title": "Transkrip konseling",
        "file": "transkrip",
        "client": "Klien",
        "psychologist": "Psikolog",
        "date": "Tanggal",
        "time": "Waktu",
        "status": "Status",
        "pending": "Belum dimulai",
        "active": "Sedang berlangsung",
        "ending_soon": "Sedang berlangsung, segera berakhir",
        "completed": "Selesai",
        "cancelled": "Dibatalkan",
        "automated": "otomatis",
        "altered": "Sebuah pesan tidak dapat ditampilkan, karena telah diubah atau dihapus di penyimpanan.",
        "attachment": "Lampiran",
        "recording": "Pesan suara",
        "opened": "Chat dibuka",
        "extended": "Sesi diperpanjang",
        "ended": "Chat ditutup pada waktunya",
        "ended_by": "Sesi diakhiri oleh {name}",
        "cancelled_by": "Sesi dibatalkan oleh {name}",
        "cancelled_for_all": "Sesi dibatalkan oleh admin",
        "missed": "Sesi tidak dapat dibuka tepat waktu",
        "nothing": "Belum ada pesan.",
        "made": "Dibuat pada {when}.",
        "private": "Rahasia, hanya untuk kedua peserta sesi ini.",
    },
    "en": {
        "title": "Counselling transcript",
        "file": "transcript",
        "client": "Client",
        "psychologist": "Psychologist",
        "date": "Date",
        "time": "Time",
        "status": "Status",
        "pending": "Not started yet",
        "active": "In progress",
        "ending_soon": "In progress, ending soon",
        "completed": "Completed",
        "cancelled": "Cancelled",
        "automated": "automated",
        "altered": "A message cannot be shown: it was changed or taken away where it is stored.",
        "attachment": "Attachment",
        "recording": "Voice message",
        "opened": "The chat opened",
        "extended": "The session was extended",
        "ended": "The chat closed at its time",
        "ended_by": "The session was ended by {name}",
        "cancelled_by": "The session was cancelled by {name}",
        "cancelled_for_all": "The session was cancelled by an administrator",
        "missed": "The session could not be opened in time",
        "nothing": "No messages yet.",
        "made": "Made on {when}.",
        "private": "Confidential, for the two participants of this session only.",
    },
}


def zone_in_words(session: Session, timezone: str) -> str:
    """Name the counselling's zone, and how far it was from UTC at the start: `Asia/Jakarta, UTC+07:00`."""
    starts_at = wall_time(timezone, session.starts_at)
    offset = f"{starts_at:%z}"
    hours = f"UTC{offset[:3]}:{offset[3:5]}"
    name = str(starts_at.tzinfo)
    return hours if name == "UTC" else f"{name}, {hours}"


def facts(session: Session, timezone: str) -> tuple[tuple[str, str], ...]:
    """Say when the session was to take place and what became of it: pairs of a label and a text."""
    words = WORDS[session.language]
    starts_at, ends_at = wall_time(timezone, session.starts_at), wall_time(timezone, session.ends_at)
    times = f"{time_in_words(starts_at.time())}\u2013{time_in_words(ends_at.time())}"
    return (
        (words["date"], day_in_words(starts_at.date(), session.language)),
        (words["time"], f"{times} ({zone_in_words(session, timezone)})"),
        (words["status"], words[session.status.value]),
    )


def file_label(session: Session, file: FileLine) -> str:
    """Say what came with a message, without its name: `Voice message (0:42)`."""
    words = WORDS[session.language]["recording" if file.is_recording else "attachment"]
    if file.seconds is None:
        return words
    minutes, seconds = divmod(file.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{words} ({hours}:{minutes:02}:{seconds:02})" if hours else f"{words} ({minutes}:{seconds:02})"


def colophon(session: Session, timezone: str, generated_at: datetime) -> tuple[str, str]:
    """Say when the transcript was made, and for whom it is."""
    words = WORDS[session.language]
    at = wall_time(timezone, generated_at)
    when = f"{day_in_words(at.date(), session.language)}, {at:%H:%M} ({zone_in_words(session, timezone)})"
    return words["made"].replace("{when}", when), words["private"]
