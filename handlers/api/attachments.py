"""/chat/messages/upload and /chat/attachments: files sent with messages, and links to them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from handlers import schemas
from handlers.api.idempotency import once
from handlers.api.presenters import attachment_json, message_json
from handlers.http import ranges
from handlers.http.admission import Precedence
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode, invalid
from rdchat.domain import permissions
from rdchat.files.kinds import KINDS

if TYPE_CHECKING:
    from uuid import UUID

    from aiohttp import web

#: Whatever a file contains: it is shown as what it is, runs nothing, loads nothing, and stays nowhere.
_CONFINED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
#: What pages show and play; all else is only saved.
_INLINE: Final = ("image/", "audio/")


async def admit_upload(call: Call) -> None:
    """Refuse an upload before its file is read, where that can be said already."""
    body = call.body
    if "session_id" in body:
        await call.runtime.attachments.check_upload(
            call.caller, body["session_id"], body.get("client_message_id")
        )
    elif not await call.runtime.attachments.may_send_somewhere(call.caller):
        raise invalid("sessionId", "Must come before the file.")


async def upload_message(call: Call) -> Answer:
    """Send a file while the chat is open, with or without words.

    What the file is decides its content. Images are re-encoded without what cameras put into them: no
    place, no device, no instant. Large ones are scaled down to 12.6 million pixels, HEIC and AVIF become
    JPEG, a GIF becomes PNG, and of an animation the first frame stays. Recordings are rewritten without
    what telephones put into them, and texts are kept in UTF-8. `errors.file` says why a file is refused,
    also for what a document would do when it is opened.

    A repeated clientMessageId gives the first message, with 200; with other words or another file it is
    refused, and nothing is sent. Put the file last: then a refusal does not wait for it. A file that
    comes before `sessionId` is only read while a chat of its sender is open. Two of one person are read at a
    time; more wait for them, and still more are refused with 429.
    """
    body = call.body

    async def send(message_id: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        session, message, is_new = await call.runtime.attachments.send_file(
            call.caller,
            body["session_id"],
            body["file"],
            message_id=message_id,
            caption=body["message"],
            client_message_id=body["client_message_id"],
            again=again,
        )
        link = partial(call.runtime.attachments.make_link, call.caller)
        shown = message_json(message, session.client_id, link)
        return Answer(shown, "Message sent successfully", 201 if is_new else 200)

    return await once(call, send)


async def get_attachment(call: Call) -> Answer:
    """Look at an attachment, and get a link to it that serves for five minutes."""
    found = await call.runtime.attachments.get_attachment(call.caller, call.path["id"])
    link = call.runtime.attachments.make_link(call.caller, found.id)
    return Answer(attachment_json(found, link), "Attachment retrieved successfully")


async def download_attachment(call: Call) -> web.StreamResponse:
    """Open an attachment by a link. The link is all that it takes: an `<img>` can send no token.

    With the header Range, a part of it: players of recordings ask for parts.
    """
    opened = await call.runtime.attachments.open_file(call.path["id"], call.query["token"])
    one = opened.attachment
    charset = "; charset=utf-8" if one.content_type == "text/plain" else ""
    shown = "inline" if one.content_type.startswith(_INLINE) else "attachment"
    headers = {
        **_CONFINED,
        "Content-Type": one.content_type + charset,
        # RFC 8187: in this form a name may contain anything.
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(one.file_name, safe='')}",
    }
    return await ranges.respond(opened.size, opened.read, str(one.id), call.headers, headers)


ROUTES = (
    Route(
        method="POST",
        path="/chat/messages/upload",
        handler=upload_message,
        summary="Send a file",
        tag="Chat",
        done="The message, stored, with a link to its file; both participants receive it.",
        message="Message sent successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.UploadRequest,
        admit=admit_upload,
        rate="upload",
        precedence=Precedence.CHAT,
        idempotent=True,
        data=schemas.MessageAnswer,
        status=201,
        also=((200, "The first message of this `clientMessageId`: it was sent before."),),
        errors=(
            ErrorCode.CHAT_NOT_ENABLED,
            ErrorCode.SESSION_ENDED,
            ErrorCode.SESSION_NOT_FOUND,
            ErrorCode.NOT_PARTICIPANT,
            ErrorCode.IDEMPOTENCY_MISMATCH,
        ),
    ),
    Route(
        method="GET",
        path="/chat/attachments/{id}",
        handler=get_attachment,
        summary="Get a link to an attachment",
        tag="Chat",
        done="The attachment, and a link to it.",
        message="Attachment retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.AttachmentAnswer,
        errors=(ErrorCode.NOT_PARTICIPANT,),
    ),
    Route(
        method="GET",
        path="/chat/attachments/{id}/content",
        handler=download_attachment,
        summary="Open an attachment",
        tag="Chat",
        done="The file, without an envelope.",
        roles=permissions.NO_ROLE,
        query=schemas.AttachmentQuery,
        bare=tuple(KINDS),
        public=True,
        rate=None,
        ranged=True,
        errors=(ErrorCode.FORBIDDEN,),
    ),
)
