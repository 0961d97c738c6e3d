"""Our values in the shapes that the web app reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from handlers.api.presenters import maybe_iso, message_json
from rdchat.common.clock import iso
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import time
    from uuid import UUID

    from rdchat.domain.counseling import Counseling
    from rdchat.domain.message import Message
    from rdchat.domain.notification import Notification
    from rdchat.files.links import Link
    from rdchat.services.conversations import Conversation
    from statemachine import Session

#: All that people are told here is about their schedule.
SCHEDULE: Final = "schedule"


def flat(message: dict[str, Any]) -> dict[str, Any]:
    """Put what is known of a message's file beside the message as well."""
    attachment = message.get("attachment")
    if attachment is None:
        return message
    return message | flat_attachment(attachment)


def flat_attachment(attachment: dict[str, Any]) -> dict[str, Any]:
    """Name what is known of a file as the web app does."""
    return {
        "attachmentUrl": attachment.get("url"),
        "attachmentName": attachment["fileName"],
        "attachmentType": attachment["contentType"],
        "attachmentSize": attachment["size"],
    }


def status_of(session: Session) -> str:
    """Return where a session stands, in the app's words: a chat that ends soon is active."""
    return Status.ACTIVE.value if session.is_open else session.status.value


def schedule_json(counseling: Counseling, total: int) -> dict[str, Any]:
    """Show a counselling in a schedule."""
    status = schedule_status(counseling)
    people = (
        (counseling.client_id, counseling.client_name, "client"),
        (counseling.psychologist_id, counseling.psychologist_name, "psychologist"),
    )
    return {
        "id": str(counseling.id),
        "startDateTime": iso(counseling.slot.starts_at),
        "endDateTime": iso(counseling.slot.ends_at),
        "location": counseling.method,
        "counselingStatus": status,
        "sessionId": str(counseling.session_id) if counseling.session_id is not None else None,
        "users": [
            {"id": str(person_id), "fullName": name, "role": role, "counselingStatus": status}
            for person_id, name, role in people
        ],
        "totalCount": total,
    }


def schedule_status(counseling: Counseling) -> str:
    """Return where a counselling stands, in the app's words.

    One that is ahead is `rescheduled` once it was moved, or handed over.
    """
    if counseling.status in ("completed", "cancelled"):
        return counseling.status
    return "rescheduled" if counseling.status == "pending" and counseling.revision else "scheduled"


def conversation_json(conversation: Conversation, link: Callable[[UUID], Link]) -> dict[str, Any]:
    """Show a conversation in the list of them."""
    session, last = conversation.session, conversation.last_said
    return {
        "sessionId": str(session.id),
        "counselingId": str(session.counseling_id),
        "clientId": str(session.client_id),
        "psychologistId": str(session.psychologist_id),
        "status": status_of(session),
        "isActive": session.is_open,
        "isChatEnabled": session.is_open,
        "createdAt": iso(session.created_at),
        "updatedAt": iso(session.updated_at),
        "scheduledAt": iso(session.starts_at),
        "endsAt": iso(session.ends_at),
        "client": _person_json(session.client_id, session.client_name),
        "psychologist": _person_json(session.psychologist_id, session.psychologist_name),
        "lastMessage": last_message_json(last, session.client_id, link) if last is not None else None,
        "unreadCount": conversation.unread,
        "lastUserMessageAt": maybe_iso(last.created_at if last is not None else None),
    }


def _person_json(person_id: UUID, name: str) -> dict[str, Any]:
    # Pictures of people are with the service of profiles.
    return {"id": str(person_id), "fullName": name, "profilePicture": None}


def last_message_json(message: Message, client_id: UUID, link: Callable[[UUID], Link]) -> dict[str, Any]:
    """Show what was said last: all of it, since only the app may be able to read it."""
    shown = flat(message_json(message, client_id, link))
    return {
        "id": shown["id"],
        "message": shown["message"],
        "messageType": shown["messageType"],
        "createdAt": shown["createdAt"],
        "senderId": shown["senderId"],
        "senderFullName": message.sender_name,
        "isRead": shown["isRead"],
        "attachmentName": shown.get("attachmentName"),
        "attachmentUrl": shown.get("attachmentUrl"),
        "attachmentType": shown.get("attachmentType"),
    }


def notification_json(notification: Notification) -> dict[str, Any]:
    """Show a notification."""
    return {
        "id": str(notification.id),
        "type": SCHEDULE,
        "subType": notification.type.value,
        "title": notification.title,
        "message": notification.message,
        "status": "unread" if notification.read_at is None else "read",
        "readAt": maybe_iso(notification.read_at),
        "createdAt": iso(notification.created_at),
        "counselingId": str(notification.counseling_id),
        "sessionId": str(notification.session_id) if notification.session_id is not None else None,
    }


def clock_with_seconds(at: time) -> str:
    """Show a time of day as `HH:MM:SS`."""
    return at.isoformat("seconds")
