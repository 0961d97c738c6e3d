"""Sessions as their participants see them: the automated texts, the fields, and a chat that is open."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service

WELCOME = "Halo! Saya akan segera memulai sesi konseling kita. Mohon tunggu sebentar, ya! 😊"
OPENING = (
    "Sesi konseling dimulai! Silakan ceritakan apa yang ingin Anda bagikan hari ini. "
    "Saya siap mendengarkan 🤗"
)
CLOSING = (
    "Sesi konseling telah berakhir. Terima kasih telah berbagi dengan saya hari ini. "
    "Jaga diri dengan baik ya! 💙"
)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SESSION_KEYS = {
    *("id", "counselingId", "clientId", "psychologistId", "client", "psychologist", "status", "isActive"),
    *("isChatEnabled", "scheduledAt", "endsAt", "startedAt", "endedAt", "endReason", "lastSeq"),
    *("outcome", "automations", "createdAt", "updatedAt"),
}
#: Of one that a participant looks up.
MARKED_KEYS = SESSION_KEYS | {"readUpToSeq", "otherReadUpToSeq"}


def instant(text: str) -> datetime:
    assert INSTANT.fullmatch(text), text
    return datetime.fromisoformat(text)


async def reaches(person: Person, session_id: str, status: str, seconds: float = 10.0) -> dict[str, Any]:
    async def tz() -> dict[str, Any] | None:
        session = await person.session(session_id)
        return session if session["status"] == status else None

    session = await until(tz, seconds)
    assert session is not None
    return session


async def opened(service: Service, lasts: float = 60) -> tuple[Person, Person, str]:
    """A client and a psychologist in an open chat."""
    psychologist = await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 1, lasts, psychologistId=str(psychologist.id))
    await reaches(client, session_id, "active")
    return client, psychologist, session_id
