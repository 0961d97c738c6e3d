"""/chat/sessions: look at sessions, extend one, end one, say how far one has read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from handlers import schemas
from handlers.api import cursors
from handlers.api.idempotency import once
from handlers.api.presenters import listed_session_json, marked_session_json, session_json
from handlers.api.selection import read_part
from handlers.http.admission import Precedence
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import permissions
from statemachine import OPEN, Status

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.services.chat import SessionEntry

_NO_SESSION = (ErrorCode.SESSION_NOT_FOUND, ErrorCode.NOT_PARTICIPANT)
#: What only those who oversee ask for: as it is called in the query, and when it is loaded.
_OVERSEEN: Final = (
    ("psychologistId", "psychologist_id"),
    ("clientId", "client_id"),
    ("organizationId", "organization_id"),
    ("from", "since"),
    ("to", "until"),
)


async def list_sessions(call: Call) -> Answer:
    """List one's own sessions, or as one who oversees them those of others.

    The latest start comes first, or what happened last: in the order of activity, a session moves to the
    front whenever something happens in it. Administrators see all, supervisors those of their organisation:
    how they stand, never what was written; theirs come by start alone.
    """
    if permissions.is_overseer(call.caller):
        if call.query["order"] != "start":
            raise invalid("order", "Only for those who take part.")
        return await _overseen_page(call)
    asked = {name: ["Only for those who oversee."] for name, key in _OVERSEEN if call.query[key] is not None}
    if asked:
        raise RdchatError(ErrorCode.VALIDATION_FAILED, fields=asked)
    status = call.query["status"]
    by_activity = call.query["order"] == "activity"
    return await _page(call, [Status(status)] if status is not None else None, by_activity=by_activity)


async def _overseen_page(call: Call) -> Answer:
    limit = call.query["limit"]
    of = cursors.OVERSEEN_SESSIONS
    found = await call.runtime.oversight.list_sessions(call.caller, read_part(call.query, of))
    shown, following = cursors.cut(found, limit, of, lambda one: (one.starts_at, one.counseling_id))
    return Answer(
        {"data": [session_json(session) for session in shown], "nextCursor": following},
        "Chat sessions retrieved successfully",
    )


async def list_active_sessions(call: Call) -> Answer:
    """List one's own sessions that can be written in now."""
    return await _page(call, sorted(OPEN))


async def _page(call: Call, statuses: list[Status] | None, *, by_activity: bool = False) -> Answer:
    limit = call.query["limit"]
    of = cursors.SESSIONS_BY_ACTIVITY if by_activity else cursors.SESSIONS_BY_START
    found = await call.runtime.chat.list_sessions(
        call.caller,
        statuses=statuses,
        before=cursors.read(call.query["cursor"], of),
        limit=limit + 1,
        by_activity=by_activity,
    )

    def place(entry: SessionEntry) -> tuple[datetime, UUID]:
        return entry.active_at if by_activity else entry.session.starts_at, entry.session.id

    shown, following = cursors.cut(found, limit, of, place)
    return Answer(
        {"data": [listed_session_json(entry) for entry in shown], "nextCursor": following},
        "Chat sessions retrieved successfully",
    )


async def get_session(call: Call) -> Answer:
    """Look at a session."""
    session = await call.runtime.chat.get_session(call.caller, call.path["id"])
    read = await call.runtime.chat.get_read_horizons(call.caller, session)
    return Answer(marked_session_json(session, read), "Chat session retrieved successfully")


async def end_session(call: Call) -> Answer:
    """End an open chat before its time. Again, by the one who ended it, it is answered the same."""
    session = await call.runtime.chat.end_session(call.caller, call.path["id"])
    return Answer(session_json(session), "Chat session ended successfully")


async def extend_session(call: Call) -> Answer:
    """Extend an open chat; its warning and its end move with it.

    With `endsAt`, the same again changes nothing; with `minutes`, it extends once more.
    """
    to = _extension(call.body)

    async def extend(command_id: UUID, _again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        session = await call.runtime.rescheduling.extend(
            call.caller, call.path["id"], to, command_id=command_id
        )
        return Answer(session_json(session), "Chat session extended successfully")

    async def present(_answered: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return session_json(await call.runtime.chat.get_session(call.caller, call.path["id"]))

    return await once(call, extend, present)


def _extension(said: dict[str, Any]) -> timedelta | datetime:
    """Give how much longer a session is to last, or until when."""
    match said:
        case {"minutes": minutes, **others} if not others:
            return timedelta(minutes=minutes)
        case {"ends_at": datetime() as ends_at, **others} if not others:
            return ends_at
    raise invalid("endsAt" if said else "minutes", "Give minutes or endsAt, and not both.")


async def read_session(call: Call) -> Answer:
    """Say how far one has read; the other participant is told."""
    up_to, at = await call.runtime.chat.mark_read(call.caller, call.path["id"], call.body["up_to_seq"])
    shown = {
        "sessionId": str(call.path["id"]),
        "upToSeq": up_to,
        "readAt": iso(at) if at is not None else None,
    }
    return Answer(shown, "Messages marked as read")


ROUTES = (
    Route(
        method="GET",
        path="/chat/sessions",
        handler=list_sessions,
        summary="List sessions",
        tag="Sessions",
        done="The sessions of the page.",
        message="Chat sessions retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.SessionsQuery,
        data=schemas.SessionsAnswer,
    ),
    Route(
        method="GET",
        path="/chat/sessions/active",
        handler=list_active_sessions,
        summary="List own open sessions",
        tag="Sessions",
        done="The open sessions of the page.",
        message="Chat sessions retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.ActiveSessionsQuery,
        data=schemas.SessionsAnswer,
    ),
    Route(
        method="GET",
        path="/chat/sessions/{id}",
        handler=get_session,
        summary="Look at a session",
        tag="Sessions",
        done="The session.",
        message="Chat session retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.MarkedSession,
        errors=_NO_SESSION,
    ),
    Route(
        method="PUT",
        path="/chat/sessions/{id}/read",
        handler=read_session,
        summary="Mark messages as read",
        tag="Sessions",
        done="How far one has read.",
        message="Messages marked as read",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.ReadRequest,
        data=schemas.ReadAnswer,
        rate="read",
        precedence=Precedence.CHAT,
        errors=_NO_SESSION,
    ),
    Route(
        method="PUT",
        path="/chat/sessions/{id}/extend",
        handler=extend_session,
        summary="Extend an open session",
        tag="Sessions",
        precedence=Precedence.CHAT,
        done="The session, with its new end.",
        message="Chat session extended successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.ExtendRequest,
        data=schemas.SessionAnswer,
        idempotent=True,
        errors=(
            *_NO_SESSION,
            ErrorCode.FORBIDDEN,
            ErrorCode.SESSION_ENDED,
            ErrorCode.ILLEGAL_TRANSITION,
            ErrorCode.CLIENT_LIMIT,
            ErrorCode.PSYCHOLOGIST_LIMIT,
        ),
    ),
    Route(
        method="PUT",
        path="/chat/sessions/{id}/end",
        handler=end_session,
        summary="End an open session",
        tag="Sessions",
        done="The session, now completed.",
        message="Chat session ended successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.SessionAnswer,
        rate=None,
        precedence=Precedence.ALWAYS,
        errors=(*_NO_SESSION, ErrorCode.ILLEGAL_TRANSITION),
    ),
)
