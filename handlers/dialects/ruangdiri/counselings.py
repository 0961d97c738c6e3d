"""/counselings, as the web app books, moves, cancels and lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from handlers.api import counselings
from handlers.api.presenters import session_json
from handlers.dialects.ruangdiri.shapes import schedule_json
from handlers.http.routing import Answer
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.counseling import CounselingFilter

if TYPE_CHECKING:
    from handlers.http.routing import Call


async def book_counseling(call: Call) -> Answer:
    """Book as ever; the session and the name of the psychologist also stand beside the data."""
    answer = await counselings.book_counseling(call)
    session = answer.data["chatSession"]
    beside = {
        "sessionId": session["sessionId"] if session is not None else None,
        "psychologistName": answer.data["psychologist"]["fullName"],
    }
    return replace(answer, beside=beside)


async def find_session_of_counseling(call: Call) -> Answer:
    """Find the session of one's own counselling. It was made with the booking: nothing is made here."""
    counseling = await call.runtime.counselings.get_counseling(call.caller, call.body["counseling_id"])
    if not permissions.takes_part(call.caller.id, counseling):
        raise RdchatError(ErrorCode.NOT_PARTICIPANT)
    if counseling.session_id is None:
        raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
    session = await call.runtime.chat.get_session(call.caller, counseling.session_id)
    shown: dict[str, Any] = session_json(session) | {"sessionId": str(session.id)}
    return Answer(shown, "Chat session retrieved successfully")


async def list_schedules(call: Call) -> Answer:
    """List one's own counsellings, latest start first. Also for those who oversee others: their own alone."""
    page, limit = call.query["page"], call.query["limit"]
    part = CounselingFilter(
        status=None, since=None, until=None, before=None, limit=limit, offset=(page - 1) * limit
    )
    found = await call.runtime.counselings.list_counselings(call.caller, part)
    total = await call.runtime.counselings.count_counselings(call.caller)
    return Answer([schedule_json(one, total) for one in found], "Schedules retrieved successfully")


async def cancel_counseling(call: Call) -> Answer:
    """Cancel as ever."""
    return await counselings.cancel_counseling(call)


async def reschedule_counseling(call: Call) -> Answer:
    """Move as ever."""
    return await counselings.reschedule_counseling(call)
