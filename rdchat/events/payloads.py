"""The payloads of realtime events (see docs/realtime.md).

JSON objects with camelCase names, ids and ISO instants as text, exactly as subscribers receive them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.common.clock import iso

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.domain.notification import Notification
    from statemachine import Attachment, Session
    from statemachine.effects import BroadcastStatus


def message_fields(message: Message) -> dict[str, Any]:
    """Make what a message's event and its answer over HTTP have in common."""
    shared: dict[str, Any] = {
        "id": str(message.id),
        "sessionId": str(message.session_id),
        "seq": message.seq,
        "senderId": str(message.sender_id),
        "messageType": message.message_type,
        "isAutomated": message.is_automated,
        "createdAt": iso(message.created_at),
    }
    if message.client_message_id is not None:
        shared["clientMessageId"] = message.client_message_id
    return shared


def message_data(message: Message) -> dict[str, Any]:
    """Make the payload of a `message` event."""
    data = message_fields(message)
    data["senderName"] = message.sender_name
    data["content"] = message.text
    if message.attachment is not None:
        data["attachment"] = attachment_data(message.attachment)
    return data


def attachment_data(attachment: Attachment) -> dict[str, Any]:
    """Describe an attachment, without a link: links live for minutes, published events for longer."""
    data: dict[str, Any] = {
        "id": str(attachment.id),
        "fileName": attachment.file_name,
        "contentType": attachment.content_type,
        "size": attachment.size,
    }
    if attachment.width is not None:
        data |= {"width": attachment.width, "height": attachment.height}
    if attachment.duration_ms is not None:
        seconds = attachment.duration_ms / 1000
        # As JavaScript writes it: who proves what was published writes it again.
        data["durationSeconds"] = int(seconds) if seconds.is_integer() else seconds
    return data


def status_data(session: Session, effect: BroadcastStatus) -> dict[str, Any]:
    """Make the payload of a `session-status` event."""
    data: dict[str, Any] = {
        "sessionId": str(session.id),
        "status": effect.event.value,
        "endsAt": iso(session.ends_at),
        "at": iso(effect.at),
    }
    if effect.minutes_left is not None:
        data["minutesLeft"] = effect.minutes_left
    if session.end_reason is not None:
        data["endReason"] = session.end_reason.value
    return data


def notification_data(notification: Notification) -> dict[str, Any]:
    """Make the payload of a `notification` event."""
    return {
        "id": str(notification.id),
        "type": notification.type.value,
        "title": notification.title,
        "message": notification.message,
        "data": {
            "counselingId": str(notification.counseling_id),
            "sessionId": str(notification.session_id) if notification.session_id is not None else None,
            "startsAt": iso(notification.starts_at),
            "endsAt": iso(notification.ends_at),
            "timezone": notification.timezone,
            "reason": notification.reason,
        },
        "createdAt": iso(notification.created_at),
    }


def read_data(session_id: UUID, person_id: UUID, up_to_seq: int, at: datetime) -> dict[str, Any]:
    """Make the payload of a `message-read` event: everything up to `upToSeq` was read."""
    return {
        "sessionId": str(session_id),
        "userId": str(person_id),
        "upToSeq": up_to_seq,
        "readAt": iso(at),
    }


def typing_data(person_id: UUID, *, is_typing: bool, at: datetime) -> dict[str, Any]:
    """Make the payload of a `typing` event."""
    return {"userId": str(person_id), "isTyping": is_typing, "timestamp": iso(at)}
