"""/calendar: a link to one's counsellings for calendar programs, and what it opens."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from handlers import schemas
from handlers.api.entity_tags import names
from handlers.api.presenters import link_to
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions

_HEADERS: Final = {
    # It may be kept, but is asked for again each time: what was cancelled must not stay.
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


async def put_calendar_link(call: Call) -> Answer:
    """Get a link to one's own calendar, instead of the one that one had.

    It is shown this once. All who have it see when one has counsellings, and nothing else.
    """
    secret = await call.runtime.calendars.create_link(call.caller)
    return Answer(
        {"url": link_to(call.runtime.settings.base_url, f"/calendar.ics?token={secret}")},
        "Calendar link created successfully",
    )


async def delete_calendar_link(call: Call) -> Answer:
    """Revoke the link to one's own calendar. It opens nothing from then on."""
    revoked = await call.runtime.calendars.revoke_link(call.caller)
    return Answer({"revoked": revoked}, "Calendar link revoked successfully")


async def get_calendar(call: Call) -> web.Response:
    """Open a calendar by its link: the counsellings of the last thirty days and all that are to come.

    The link is all that it takes: calendar programs can send no token. Other parameters mean nothing.
    """
    calendar = await call.runtime.calendars.open_calendar(call.query["token"])
    headers = {**_HEADERS, "ETag": f'"{calendar.tag}"'}
    if names(call.headers.get("If-None-Match"), headers["ETag"]):
        return web.Response(status=304, headers=headers)
    text = await call.runtime.calendars.write(calendar)
    return web.Response(body=text, content_type="text/calendar", charset="utf-8", headers=headers)


ROUTES = (
    Route(
        method="PUT",
        path="/calendar",
        handler=put_calendar_link,
        summary="Get a link to one's calendar",
        tag="Counselling",
        done="The link. One that there was before is revoked.",
        message="Calendar link created successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.CalendarLinkAnswer,
    ),
    Route(
        method="DELETE",
        path="/calendar",
        handler=delete_calendar_link,
        summary="Revoke the link to one's calendar",
        tag="Counselling",
        done="No link opens it any more.",
        message="Calendar link revoked successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.CalendarLinkRevokedAnswer,
    ),
    Route(
        method="GET",
        path="/calendar.ics",
        handler=get_calendar,
        summary="Open a calendar",
        tag="Counselling",
        done="The calendar (RFC 5545), without an envelope.",
        roles=permissions.NO_ROLE,
        query=schemas.CalendarQuery,
        bare=("text/calendar",),
        tagged=True,
        public=True,
        rate=None,
        errors=(ErrorCode.FORBIDDEN,),
    ),
)
