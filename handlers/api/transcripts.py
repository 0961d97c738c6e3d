"""/chat/sessions/{id}/transcript: a session written down, as JSON, as plain text or as a page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from handlers import schemas
from handlers.api.presenters import message_json, session_json
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.common.json import as_json
from rdchat.domain import permissions
from rdchat.texts.wording import wall_time
from rdchat.transcript import POLICY, Transcript
from rdchat.transcript.words import WORDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.files.links import Link
    from statemachine import Session

_TYPES: Final = {
    "json": "application/json; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
}


async def get_transcript(call: Call) -> Answer | web.Response:
    """Read all of a session, written down: for programs, as text, or as a page to keep and to print."""
    chat, form = call.runtime.chat, call.query["format"]
    session, timeline, pages = await chat.read_transcript(call.caller, call.path["id"])
    now, timezone = call.runtime.clock.now(), session.timezone_of(call.caller.id)
    if form == "json":
        chunks = _json(session, pages, now, partial(call.runtime.attachments.make_link, call.caller))
    else:
        chunks = _written(Transcript(form, session, timeline, timezone=timezone, generated_at=now), pages)
    return web.Response(
        # Sent page by page. Should one not be found, the answer breaks off, which every client notices.
        body=chunks,
        headers={
            "Content-Type": _TYPES[form],
            "Content-Disposition": f"inline; filename*=UTF-8''{_file_name(session, timezone, form)}",
            "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _file_name(session: Session, timezone: str, form: str) -> str:
    """Name the file by its time alone: lists of downloads are seen by others."""
    starts_at = wall_time(timezone, session.starts_at)
    return f"{WORDS[session.language]['file']}-{starts_at:%Y-%m-%d-%H%M}.{form}"


async def _written(transcript: Transcript, pages: AsyncIterator[list[Message]]) -> AsyncIterator[bytes]:
    yield transcript.begin().encode()
    async for page in pages:
        yield transcript.add(page).encode()
    yield transcript.finish().encode()


async def _json(
    session: Session, pages: AsyncIterator[list[Message]], now: datetime, link: Callable[[UUID], Link]
) -> AsyncIterator[bytes]:
    """Write the envelope around messages that are not there yet."""
    yield b'{"success":true,"data":{"session":' + as_json(session_json(session)) + b',"messages":['
    separator = b""
    async for page in pages:
        shown = (as_json(message_json(message, session.client_id, link)) for message in page)
        yield separator + b",".join(shown)
        separator = b","
    yield b'],"generatedAt":"' + iso(now).encode() + b'"},"message":"Transcript retrieved successfully"}'


ROUTES = (
    Route(
        method="GET",
        path="/chat/sessions/{id}/transcript",
        handler=get_transcript,
        summary="Read a session as a transcript",
        tag="Sessions",
        done="The transcript; as text or as a page, without an envelope.",
        message="Transcript retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.TranscriptQuery,
        data=schemas.TranscriptAnswer,
        bare=("text/plain", "text/html"),
        errors=(ErrorCode.SESSION_NOT_FOUND, ErrorCode.NOT_PARTICIPANT),
    ),
)
