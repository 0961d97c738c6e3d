"""/notifications, as the web app lists, counts and reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from handlers.api import notifications
from handlers.dialects.ruangdiri.shapes import SCHEDULE, notification_json
from handlers.http.routing import Answer

if TYPE_CHECKING:
    from handlers.http.routing import Call
    from rdchat.domain.notification import Notification


async def list_notifications(call: Call) -> Answer:
    """List as ever; with `page` or `type`, that page, as `notifications` and `total`."""
    page, kind = call.query.pop("page"), call.query.pop("type")
    if page is None and kind is None:
        return await notifications.list_notifications(call)
    limit = call.query["limit"]
    service = call.runtime.notifications
    total, _ = await service.count_notifications(call.caller)
    found: list[Notification] = []
    if kind in (None, SCHEDULE):
        offset = ((page or 1) - 1) * limit
        found, _ = await service.list_notifications(call.caller, before=None, limit=limit, offset=offset)
    else:
        total = 0
    shown = [notification_json(one) for one in found]
    return Answer({"notifications": shown, "total": total}, "Notifications retrieved successfully")


async def count_unread_notifications(call: Call) -> Answer:
    """Count what one has not read: all of it is about counsellings."""
    _, unread = await call.runtime.notifications.count_notifications(call.caller)
    return Answer({"generalCount": 0, "counselingCount": unread}, "Notifications counted successfully")


async def read_some_notifications(call: Call) -> Answer:
    """Mark some of one's notifications as read; of others' nothing is said."""
    ids = call.body["notification_ids"]
    count = await call.runtime.notifications.mark_some_read(call.caller, ids)
    return Answer({"updatedCount": count}, "Notifications marked as read")


async def read_all_notifications(call: Call) -> Answer:
    """Mark all of one's notifications as read."""
    answer = await notifications.read_all_notifications(call)
    return replace(answer, data={"updatedCount": answer.data["read"]})
