"""/notifications: what one was told, wherever one was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.api.presenters import maybe_iso
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.events import payloads

if TYPE_CHECKING:
    from rdchat.domain.notification import Notification


async def list_notifications(call: Call) -> Answer:
    """List one's own notifications, newest first."""
    limit, of = call.query["limit"], cursors.NOTIFICATIONS
    found, unread = await call.runtime.notifications.list_notifications(
        call.caller, before=cursors.read(call.query["cursor"], of), limit=limit + 1
    )
    shown, following = cursors.cut(found, limit, of, lambda one: (one.created_at, one.id))
    return Answer(
        {
            "data": [_notification_json(one) for one in shown],
            "unreadCount": unread,
            "nextCursor": following,
        },
        "Notifications retrieved successfully",
    )


async def read_notification(call: Call) -> Answer:
    """Mark a notification as read."""
    read = await call.runtime.notifications.mark_read(call.caller, call.path["id"])
    return Answer(_notification_json(read), "Notification marked as read")


async def read_all_notifications(call: Call) -> Answer:
    """Mark all of one's notifications as read."""
    count = await call.runtime.notifications.mark_all_read(call.caller)
    return Answer({"read": count}, "Notifications marked as read")


def _notification_json(notification: Notification) -> dict[str, Any]:
    """Show a notification, as it was told and whether it was read."""
    return {
        **payloads.notification_data(notification),
        "isRead": notification.read_at is not None,
        "readAt": maybe_iso(notification.read_at),
    }


ROUTES = (
    Route(
        method="GET",
        path="/notifications",
        handler=list_notifications,
        summary="List own notifications",
        tag="Notifications",
        done="The notifications of the page.",
        message="Notifications retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.PageQuery,
        data=schemas.NotificationsAnswer,
    ),
    Route(
        method="PUT",
        path="/notifications/read-all",
        handler=read_all_notifications,
        summary="Mark all notifications as read",
        tag="Notifications",
        done="How many were unread.",
        message="Notifications marked as read",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.ReadAllAnswer,
    ),
    Route(
        method="PUT",
        path="/notifications/{id}/read",
        handler=read_notification,
        summary="Mark a notification as read",
        tag="Notifications",
        done="The notification, read.",
        message="Notification marked as read",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.NotificationAnswer,
        errors=(ErrorCode.NOT_FOUND,),
    ),
)
