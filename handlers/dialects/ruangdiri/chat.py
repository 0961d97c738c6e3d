"""/chat, as the web app listens, reads, types and sends files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from handlers.api import attachments, chat, sessions
from handlers.api.presenters import listed_session_json, maybe_iso, message_json
from handlers.dialects.ruangdiri.recognising import is_app
from handlers.dialects.ruangdiri.shapes import conversation_json, flat
from handlers.http.routing import Answer
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.events import channels
from rdchat.services.chat import must_be_open
from statemachine import OPEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from handlers.dialects.ruangdiri.signals import Signals
    from handlers.http.routing import Call
    from rdchat.files.links import Link
    from statemachine import Session

#: The longest that a token may live which Ably can revoke. The web app never asks for another one.
TOKEN_LIFETIME: Final = timedelta(hours=1)

PRESENCE: Final = "user_presence"
_MOST_OPEN: Final = 100


def _links(call: Call) -> Callable[[UUID], Link]:
    return partial(call.runtime.attachments.make_link, call.caller)


# ---- listening --------------------------------------------------------------------------------------------


async def get_ably_token(call: Call) -> Answer:
    """Get access as ever; the app's to a session lasts for as long as it has to live on it."""
    session_id = call.query["session_id"]
    if session_id is None or not is_app(call):
        return await chat.get_ably_token(call)
    grants = replace(call.runtime.realtime_access, lifetime=TOKEN_LIFETIME)
    answer = await chat.get_ably_token(replace(call, runtime=replace(call.runtime, realtime_access=grants)))
    more = {
        "sessionId": str(session_id),
        "channels": {
            "chat": channels.chat_channel(session_id),
            "typing": channels.typing_channel(session_id),
        },
    }
    return replace(answer, data=answer.data | more)


# ---- messages ---------------------------------------------------------------------------------------------


async def get_history(call: Call) -> Answer:
    """Read as ever; for the app with files beside their messages, and a cursor in `metadata.nextCursor`."""
    answer = await chat.get_history(call)
    if not is_app(call):
        return answer
    data = answer.data
    metadata = data["metadata"] | {"nextCursor": data["nextCursor"]}
    messages = [flat(message) for message in data["data"]]
    return replace(answer, data=data | {"data": messages, "metadata": metadata})


async def upload_message(call: Call) -> Answer:
    """Send a file as ever; for the app it also stands beside the message."""
    answer = await attachments.upload_message(call)
    return replace(answer, data=flat(answer.data)) if is_app(call) else answer


async def list_attachments(call: Call) -> Answer:
    """List the messages of a session that have files, latest first."""
    session, found = await call.runtime.conversations.list_with_files(call.caller, call.path["id"])
    shown = [flat(message_json(message, session.client_id, _links(call))) for message in found]
    return Answer(shown, "Attachments retrieved successfully")


# ---- lists ------------------------------------------------------------------------------------------------


async def list_histories(call: Call) -> Answer:
    """List one's own conversations, latest activity first."""
    search, page, limit = call.query["search"], call.query["page"], call.query["limit"]
    found, total = await call.runtime.conversations.list_conversations(
        call.caller, search=search, limit=limit, offset=(page - 1) * limit
    )
    pagination = {"total": total, "page": page, "limit": limit, "totalPages": -(-total // limit)}
    shown = [conversation_json(one, _links(call)) for one in found]
    return Answer({"data": shown, "pagination": pagination}, "Chat histories retrieved successfully")


async def list_active_sessions(call: Call) -> Answer:
    """List one's own open sessions: for the app all of them, as a plain array, unless it asks for a page."""
    if call.query.pop("paged") or not is_app(call):
        return await sessions.list_active_sessions(call)
    found = await call.runtime.chat.list_sessions(
        call.caller, statuses=sorted(OPEN), before=None, limit=_MOST_OPEN
    )
    shown = [
        listed_session_json(entry) | {"sessionId": str(entry.session.id), "status": "active"}
        for entry in found
    ]
    return Answer(shown, "Chat sessions retrieved successfully")


async def count_all_unread(call: Call) -> Answer:
    """Count what one has not read of what people said, in all and by session."""
    unread = await call.runtime.conversations.count_unread(call.caller)
    shown = {
        "totalUnread": sum(unread.values()),
        "sessionUnreadCounts": {str(session_id): count for session_id, count in unread.items()},
    }
    return Answer(shown, "Unread messages counted successfully")


async def count_unread(call: Call) -> Answer:
    """Count what one has not read of what people said in a session."""
    unread = await call.runtime.conversations.count_unread_in(call.caller, call.path["id"])
    return Answer({"unreadCount": unread}, "Unread messages counted successfully")


async def read_messages(call: Call) -> Answer:
    """Say up to which message one has read; the other participant is told."""
    count, at = await call.runtime.conversations.mark_read(
        call.caller, call.path["id"], call.body["message_id"]
    )
    return Answer({"readCount": count, "readAt": maybe_iso(at)}, "Messages marked as read")


# ---- signals ----------------------------------------------------------------------------------------------


class Signallers:
    """Handlers that tell the other participant of a moment."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def set_typing(self, call: Call) -> Answer:
        """Say that one types, or no longer: on the channel of our own readers, and on that of the app's."""
        session_id, is_typing = call.body["session_id"], call.body["is_typing"]
        session = await call.runtime.chat.get_session(call.caller, session_id, content=True)
        must_be_open(session)

        async def publish() -> None:
            await call.runtime.chat.send_typing(call.caller, session_id, is_typing=is_typing)
            await _publish(
                call,
                session,
                channels.TYPING,
                {
                    "userId": str(call.caller.id),
                    "userFullName": session.name_of(call.caller.id),
                    "isTyping": is_typing,
                },
            )

        await self._tell(call, session, channels.TYPING, is_typing, publish)
        return Answer({"sessionId": str(session_id), "isTyping": is_typing}, "Typing status sent")

    async def set_presence(self, call: Call) -> Answer:
        """Say whether one looks at the chat. It is told while the chat is open."""
        session = await call.runtime.chat.get_session(call.caller, call.path["id"], content=True)
        if session.is_over:
            raise RdchatError(ErrorCode.SESSION_ENDED)
        status = call.body["status"]

        async def publish() -> None:
            await _publish(
                call,
                session,
                PRESENCE,
                {
                    "userId": str(call.caller.id),
                    "userFullname": session.name_of(call.caller.id),
                    "status": status,
                    "lastSeen": iso(call.runtime.clock.now()),
                },
            )

        if session.is_open:
            await self._tell(call, session, PRESENCE, status, publish)
        return Answer({"sessionId": str(session.id), "status": status}, "Presence status sent")

    async def _tell(
        self, call: Call, session: Session, name: str, value: object, publish: Callable[[], Awaitable[None]]
    ) -> None:
        await self._signals.tell((session.id, call.caller.id, name), value, publish)


async def _publish(call: Call, session: Session, name: str, data: dict[str, Any]) -> None:
    await call.runtime.ably.publish_now(
        channels.chat_channel(session.id),
        name,
        {"sessionId": str(session.id), **data, "timestamp": iso(call.runtime.clock.now())},
        client_id=str(call.caller.id),
    )
