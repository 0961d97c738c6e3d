"""/chat: tokens, messages, history, typing."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.api.idempotency import once
from handlers.api.presenters import message_json
from handlers.http.admission import Precedence
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.events import channels
from rdchat.services.chat import Window
from statemachine import SendMessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rdchat.files.links import Link
    from rdchat.security.encryption import ChannelKeys
    from rdchat.services.realtime_access import RealtimeAccess

_NO_SESSION = (ErrorCode.SESSION_NOT_FOUND, ErrorCode.NOT_PARTICIPANT)
_CLOSED = (ErrorCode.CHAT_NOT_ENABLED, ErrorCode.SESSION_ENDED)


async def get_ably_token(call: Call) -> Answer:
    """Get access to a session's channels, also while it is pending; or to all that one listens to now.

    In a chat that is open one may also type and be present: ask for another token when it opens. What was
    given before the end of a session ends with it.

    Without `sessionId`, that is one's notifications, and one's sessions that are open or begin within an
    hour: one connection is enough for all of them. It is revoked when one of these ends; then ask for
    another, which leaves it out.
    """
    session_id = call.query["session_id"]
    as_token_request = call.query["format"] == "tokenRequest"
    grants = call.runtime.realtime_access
    if session_id is None:
        access = await grants.grant_desk(call.caller, as_token_request=as_token_request)
    else:
        access = await grants.grant_session(call.caller, session_id, as_token_request=as_token_request)
    return Answer(_access_json(access), "Token created successfully")


async def send_message(call: Call) -> Answer:
    """Send a message while the chat is open.

    A repeated clientMessageId gives the first message, with 200; with another text it is refused, and nothing
    is sent.
    """
    body = call.body

    async def send(message_id: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        command = SendMessage(message_id, call.caller.id, body["message"], body["client_message_id"])
        session, message, is_new = await call.runtime.chat.send_message(
            call.caller, command, body["session_id"], again=again
        )
        link = _links(call) if message.attachment is not None else None
        shown = message_json(message, session.client_id, link)
        return Answer(shown, "Message sent successfully", 201 if is_new else 200)

    return await once(call, send)


async def get_history(call: Call) -> Answer:
    """Read messages, oldest first within the page; page 1 is the newest."""
    query = call.query
    way = {"before": query["before"], "after": query["after"]}
    if query["cursor"] is not None:
        way |= cursors.read_seq(query["cursor"], query["session_id"])
    window = Window(limit=query["limit"], page=query["page"], **way)
    session, messages = await call.runtime.chat.list_messages(call.caller, query["session_id"], window)
    first, stop = window.bounds(session.last_seq)
    total = session.last_seq
    pages = -(-total // window.limit)
    older = bool(messages) and first > 1
    following = None
    if window.after is None and older:
        following = "before", first
    elif window.after is not None and stop <= total:
        following = "after", stop - 1
    metadata: dict[str, Any] = {
        "page": window.page,
        "limit": window.limit,
        "total": total,
        "totalPages": pages,
        # "Next" is further back in time, as page 2 is; forwards from `after` it is further on.
        "hasNextPage": older if window.after is None else stop <= total,
        "hasPrevPage": stop <= total if window.after is None else first > 1,
        "nextCursor": following[1] if following is not None else None,
    }
    links = _links(call)
    shown = [message_json(message, session.client_id, links) for message in messages]
    next_cursor = cursors.write_seq(session.id, *following) if following is not None else None
    return Answer(
        {"data": shown, "metadata": metadata, "nextCursor": next_cursor},
        "Chat history retrieved successfully",
    )


async def get_unread(call: Call) -> Answer:
    """Count what one has not read, by session of the last thirty days, latest message first."""
    unread = await call.runtime.chat.count_unread(call.caller)
    shown = {
        "total": sum(unread.values()),
        "sessions": [{"sessionId": str(one), "unread": count} for one, count in unread.items()],
    }
    return Answer(shown, "Unread messages counted successfully")


def _links(call: Call) -> Callable[[UUID], Link]:
    return partial(call.runtime.attachments.make_link, call.caller)


async def set_typing(call: Call) -> Answer:
    """Tell the other participant that one is typing, or no longer."""
    session_id, is_typing = call.body["session_id"], call.body["is_typing"]
    await call.runtime.chat.send_typing(call.caller, session_id, is_typing=is_typing)
    return Answer({"sessionId": str(session_id), "isTyping": is_typing}, "Typing status sent")


def _access_json(access: RealtimeAccess) -> dict[str, Any]:
    """Show what a client needs to listen: to the one session that was asked for, or to all that it opens."""
    shown = {
        "token": access.token,
        "expiresAt": iso(access.expires_at),
        "clientId": str(access.client_id),
        "capability": access.capability,
        "notificationChannelName": channels.notification_channel(access.client_id),
        "clientOptions": access.client_options,
    }
    if access.session_id is not None:
        return shown | _channels_json(access.session_id, access.sessions[access.session_id])
    listed = [{"sessionId": str(one), **_channels_json(one, keys)} for one, keys in access.sessions.items()]
    return shown | {"sessions": listed}


def _channels_json(session_id: UUID, keys: ChannelKeys | None) -> dict[str, str]:
    shown = {
        "channelName": channels.chat_channel(session_id, sealed=keys is not None),
        "typingChannelName": channels.typing_channel(session_id),
    }
    if keys is not None:
        shown["cipherKey"] = b64encode(keys.cipher).decode()
        shown["proofKey"] = b64encode(keys.proof).decode()
    return shown


ROUTES = (
    Route(
        method="GET",
        path="/chat/ably-token",
        handler=get_ably_token,
        summary="Get an Ably token",
        tag="Chat",
        done="A token for exactly these channels, and what the SDK needs beside it.",
        message="Token created successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.TokenQuery,
        data=schemas.TokenAnswer,
        errors=(*_NO_SESSION, ErrorCode.SESSION_ENDED),
    ),
    Route(
        method="POST",
        path="/chat/messages",
        handler=send_message,
        summary="Send a message",
        tag="Chat",
        done="The message, stored; both participants receive it.",
        message="Message sent successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.MessageRequest,
        data=schemas.MessageAnswer,
        rate="message",
        precedence=Precedence.CHAT,
        idempotent=True,
        status=201,
        also=((200, "The first message of this `clientMessageId`: it was sent before."),),
        errors=(*_CLOSED, *_NO_SESSION, ErrorCode.IDEMPOTENCY_MISMATCH),
    ),
    Route(
        method="GET",
        path="/chat/history",
        handler=get_history,
        summary="Read a session's messages",
        tag="Chat",
        done="The messages of the page, and where it stands.",
        message="Chat history retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.HistoryQuery,
        data=schemas.HistoryAnswer,
        errors=_NO_SESSION,
    ),
    Route(
        method="GET",
        path="/chat/unread",
        handler=get_unread,
        summary="Count what one has not read",
        tag="Chat",
        done="How many messages of others are unread, in all and by session.",
        message="Unread messages counted successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.UnreadAnswer,
    ),
    Route(
        method="POST",
        path="/chat/typing",
        handler=set_typing,
        summary="Say that one is typing",
        tag="Chat",
        done="The other participant was told, if they listen.",
        message="Typing status sent",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.TypingRequest,
        rate="typing",
        data=schemas.TypingAnswer,
        errors=(*_CLOSED, *_NO_SESSION),
    ),
)
