"""A session in words: automated texts, notifications, days and times as its own zone has them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import structlog

if TYPE_CHECKING:
    from datetime import date, datetime, time

    from config import Organizations
    from statemachine import Session

log = structlog.get_logger(__name__)

_WEEKDAYS: Final = {
    "id": ("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
# fmt: off
_MONTHS: Final = {
    "id": ("Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober",
           "November", "Desember"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}
# fmt: on

#: What stands for a message that is not as it was written.
UNVERIFIED: Final = {
    "id": "[Pesan ini tidak dapat ditampilkan, karena telah diubah atau dihapus di penyimpanan.]",
    "en": "[This message cannot be shown: it was changed or taken away where it is stored.]",
}

#: What stands for the name of a person who was erased, or whose name does not open.
ERASED_NAMES: Final = {"id": "Pengguna terhapus", "en": "Erased person"}

#: What stands for what was erased.
ERASED: Final = {
    "id": "[Isi ini telah dihapus atas permintaan atau karena masa simpannya berakhir.]",
    "en": "[This was erased, on request or because the time for which it was kept is over.]",
}


def automated_text(organizations: Organizations, kind: str, session: Session) -> str:
    """Return the text of the automation `kind` in a session, filled in. Raise KeyError if it has none."""
    template = organizations.template(kind, session.language, session.organization_id)
    return template.fill(_values(session) if template.names else {})


def _values(session: Session) -> dict[str, str]:
    # Both read the one message; it speaks to the client, by the client's clock.
    zone = session.client_timezone
    starts_at, ends_at = wall_time(zone, session.starts_at), wall_time(zone, session.ends_at)
    return {
        "clientName": session.client_name,
        "psychologistName": session.psychologist_name,
        "date": day_in_words(starts_at.date(), session.language),
        "startTime": time_in_words(starts_at.time()),
        "endTime": time_in_words(ends_at.time()),
        "minutes": str(math.ceil((session.ends_at - session.starts_at).total_seconds() / 60)),
    }


def wall_time(timezone: str, instant: datetime) -> datetime:
    """Return what a clock in a zone (IANA name) shows at an instant."""
    return instant.astimezone(_zone(timezone))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # It was known where it was booked. The chat opens even if its welcome then shows UTC.
        log.warning("a time zone is not known here; UTC is shown instead", zone=name, error=repr(error))
        return ZoneInfo("UTC")


def day_in_words(day: date, language: str) -> str:
    """Return a day in words: `Selasa, 15 Januari 2030`."""
    return f"{_WEEKDAYS[language][day.weekday()]}, {day.day} {_MONTHS[language][day.month - 1]} {day.year}"


def time_in_words(at: time) -> str:
    """Return a time of day: `14:00`, with seconds only if there are any."""
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
