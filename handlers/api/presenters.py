"""Domain values as the JSON of the contract. The schemas document these shapes; here they are made.

What one resource alone shows is made in its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers.http.routing import PREFIX
from rdchat.common.clock import iso
from rdchat.events import payloads
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, time
    from uuid import UUID

    from config import CrisisContact
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.message import Message
    from rdchat.files.links import Link
    from rdchat.services.chat import SessionEntry
    from statemachine import Attachment, Automation, Session


def maybe_iso(instant: datetime | None) -> str | None:
    """Show an instant; None for none."""
    return iso(instant) if instant is not None else None


def session_json(session: Session) -> dict[str, Any]:
    """Show a session."""
    return {
        "id": str(session.id),
        "counselingId": str(session.counseling_id),
        "clientId": str(session.client_id),
        "psychologistId": str(session.psychologist_id),
        "client": {"id": str(session.client_id), "fullName": session.client_name},
        "psychologist": {"id": str(session.psychologist_id), "fullName": session.psychologist_name},
        "status": session.status.value,
        "isActive": session.is_open,
        "isChatEnabled": session.is_open,
        "scheduledAt": iso(session.starts_at),
        "endsAt": iso(session.ends_at),
        "startedAt": maybe_iso(session.started_at),
        "endedAt": maybe_iso(session.ended_at),
        "endReason": session.end_reason.value if session.end_reason else None,
        "outcome": session.outcome.value if session.outcome else None,
        "lastSeq": session.last_seq,
        "automations": [automation_json(automation) for automation in session.automations.values()],
        "createdAt": iso(session.created_at),
        "updatedAt": iso(session.updated_at),
    }


def marked_session_json(session: Session, read: tuple[int, int] | None) -> dict[str, Any]:
    """Show a session to the caller who looks it up, with how far they and the other have read.

    `read` is None for those who only oversee it.
    """
    shown = session_json(session)
    if read is not None:
        shown["readUpToSeq"], shown["otherReadUpToSeq"] = read
    return shown


def listed_session_json(entry: SessionEntry) -> dict[str, Any]:
    """Show a session in a list of the caller's own."""
    marks = entry.marks
    last = marks.last_message
    return marked_session_json(entry.session, marks.read) | {
        "unreadCount": marks.unread,
        "lastMessage": {
            "id": str(last.id),
            "seq": last.seq,
            "senderId": str(last.sender_id),
            "messageType": last.message_type.value,
            "preview": last.text,
            "createdAt": iso(last.created_at),
        }
        if last is not None
        else None,
    }


def automation_json(automation: Automation) -> dict[str, Any]:
    """Show an automation."""
    return {
        "kind": automation.kind.value,
        "dueAt": iso(automation.due_at),
        "status": automation.status.value,
        "executedAt": maybe_iso(automation.executed_at),
        "latenessMs": automation.lateness_ms,
        "reason": automation.reason,
    }


def message_json(
    message: Message, client_id: UUID, link: Callable[[UUID], Link] | None = None
) -> dict[str, Any]:
    """Show a message. A sender who is not the client is the psychologist, or was before a hand-over.

    `link` makes the links to attachments; without it they are described only.
    """
    shown = payloads.message_fields(message)
    shown["sender"] = {
        "id": shown["senderId"],
        "fullName": message.sender_name,
        "role": "client" if message.sender_id == client_id else "psychologist",
    }
    shown["message"] = message.text
    shown["isRead"] = message.read_at is not None
    shown["readAt"] = maybe_iso(message.read_at)
    if message.attachment is not None:
        made = link(message.attachment.id) if link is not None else None
        shown["attachment"] = attachment_json(message.attachment, made)
    return shown


def attachment_json(attachment: Attachment, link: Link | None) -> dict[str, Any]:
    """Show an attachment, with a link to it."""
    shown = payloads.attachment_data(attachment)
    if link is not None:
        url = link_to(link.base_url, f"/chat/attachments/{attachment.id}/content?token={link.token}")
        shown |= {"url": url, "expiresAt": iso(link.expires_at)}
    return shown


def counseling_json(counseling: Counseling, reader: UUID) -> dict[str, Any]:
    """Show a counselling, with its times as the reader's clock shows them."""
    slot = counseling.slot
    wall = slot.wall_times(counseling.timezone_of(reader))
    chat_session = None
    if counseling.session_id is not None and counseling.session_status is not None:
        chat_session = {
            "sessionId": str(counseling.session_id),
            "status": counseling.session_status.value,
            "isChatEnabled": counseling.session_status in (Status.ACTIVE, Status.ENDING_SOON),
            "scheduledAt": iso(slot.starts_at),
            "endsAt": iso(slot.ends_at),
        }
    return {
        "id": str(counseling.id),
        "method": counseling.method,
        "status": counseling.status,
        "scheduledAt": iso(slot.starts_at),
        "endsAt": iso(slot.ends_at),
        "date": wall.day.isoformat(),
        "startTime": clock_time(wall.start),
        "endDate": wall.end_day.isoformat(),
        "endTime": clock_time(wall.end),
        "timezone": wall.timezone,
        "psychologist": {"id": str(counseling.psychologist_id), "fullName": counseling.psychologist_name},
        "chatSession": chat_session,
    }


def listed_counseling_json(counseling: Counseling, reader: UUID, cancel_reason: str | None) -> dict[str, Any]:
    """Show a counselling to the caller who looks it up: also whom to expect, and why it was cancelled."""
    client = {"id": str(counseling.client_id), "fullName": counseling.client_name}
    return counseling_json(counseling, reader) | {"client": client, "cancelReason": cancel_reason}


def crisis_contact_json(contact: CrisisContact) -> dict[str, Any]:
    """Show someone to turn to at once."""
    return {
        "name": contact.name,
        "phone": contact.phone,
        "url": contact.url,
        "hours": contact.hours,
        "text": contact.text,
        "reviewedAt": contact.reviewed_on.isoformat() if contact.reviewed_on is not None else None,
    }


def clock_time(at: time) -> str:
    """Show a time of day: with seconds where it has some."""
    return at.isoformat("seconds" if at.second else "minutes")


def affected_json(counseling: Counseling, *, with_client: bool) -> dict[str, Any]:
    """Show a counselling that no longer fits; whom it is with, to those who may know."""
    client = {"id": str(counseling.client_id), "fullName": counseling.client_name}
    return {
        "id": str(counseling.id),
        "method": counseling.method,
        "startsAt": iso(counseling.slot.starts_at),
        "endsAt": iso(counseling.slot.ends_at),
        "client": client if with_client else None,
    }


def link_to(base_url: str, path: str) -> str:
    """Make a link to a route of the service, which clients reach by `base_url`."""
    return base_url + PREFIX + path
