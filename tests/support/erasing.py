"""A client with a past, and looking for what is left of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rdchat.domain.operator_action import Operator
from tests.support.forms import photo, upload
from tests.support.sessions import reaches
from tests.support.soon import in_days, session_soon

if TYPE_CHECKING:
    from rdchat.domain.erasure import Erasure
    from tests.support.service import Person, Service

#: What must be found nowhere after an erasure.
WORDS = "Kata yang tidak boleh tinggal"
NAME = "Budi yang mau dilupakan"
HOUR = timedelta(hours=1)
_STAYING = ("people", "counselings", "chat_sessions", "messages", "attachments", "reads", "timeline")


@dataclass(frozen=True)
class Past:
    """A client who has talked, sent a file and booked once more, and the psychologist of both."""

    client: Person
    psychologist: Person
    session_id: str
    #: The counselling that is ahead.
    ahead: str
    attachment: str
    calendar: str


async def a_past(service: Service, *, name: str = NAME, over: bool = True) -> Past:
    """Play it. Its chat is `over`, or still open."""
    psychologist, client = await service.psychologist(), service.person(name=name)
    session_id = await session_soon(client, 1, 60, psychologistId=str(psychologist.id))
    await reaches(client, session_id, "active")
    for number in range(3):
        assert (await client.say(session_id, f"{WORDS} {number}", f"pesan-{number}")).status == 201
    said = {"sessionId": session_id, "message": WORDS, "messageType": "text"}
    keyed = await psychologist.call(
        "POST", "/chat/messages", json=said, headers={"Idempotency-Key": "kunci-1"}
    )
    assert keyed.status == 201
    sent = await upload(client, session_id, photo(), f"{WORDS}.png", caption=WORDS)
    noted = await psychologist.put(f"/clients/{client.id}/notes", {"text": WORDS})
    assert (sent.status, noted.status) == (201, 200)
    start = in_days(3)
    ahead = await client.book(start, start + HOUR, psychologistId=str(psychologist.id), notes=WORDS)
    calendar = (await client.put("/calendar", {})).data["url"]
    if over:
        assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    return Past(client, psychologist, session_id, ahead.data["id"], sent.data["attachment"]["id"], calendar)


async def erase(service: Service, person: Person) -> Erasure:
    return await service.runtime.privacy.erasures.erase_person(Operator(reason=WORDS), person.id)


async def rows_that_stay(service: Service) -> dict[str, int]:
    pool = service.runtime.pool
    return {one: await pool.fetchval(f"SELECT count(*) FROM {one}") for one in _STAYING}  # noqa: S608 - ours


def alarms(service: Service) -> float:
    """How many integrity alarms a replica has counted."""
    return sum(
        float(line.rsplit(b" ", 1)[1])
        for line in service.runtime.metrics.page().splitlines()
        if line.startswith(b"rdchat_integrity_failures_total")
    )


def texts_in(value: Any) -> list[str]:
    """All texts and numbers of a JSON value."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts_in(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts_in(one)]
    return [str(value)]
