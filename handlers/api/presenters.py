"""Domain values as the JSON of the contract. The schemas document these shapes; here they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers.http.routing import PREFIX
from rdchat.common.clock import iso, to_ms
from rdchat.events import channels, payloads
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, time
    from uuid import UUID

    from rdchat.domain.availability import Availability, Hours
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.free_slots import FreeSlot
    from rdchat.domain.message import Message
    from rdchat.domain.notification import Notification
    from rdchat.domain.person import Psychologist
    from rdchat.domain.timeline import TimelineEntry
    from rdchat.files.links import Link
    from rdchat.services.realtime_access import RealtimeAccess
    from statemachine import Attachment, Automation, Session


def _maybe(instant: datetime | None) -> str | None:
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
        "startedAt": _maybe(session.started_at),
        "endedAt": _maybe(session.ended_at),
        "endReason": session.end_reason.value if session.end_reason else None,
        "outcome": session.outcome.value if session.outcome else None,
        "lastSeq": session.last_seq,
        "automations": [automation_json(automation) for automation in session.automations.values()],
        "createdAt": iso(session.created_at),
        "updatedAt": iso(session.updated_at),
    }


def automation_json(automation: Automation) -> dict[str, Any]:
    """Show an automation."""
    return {
        "kind": automation.kind.value,
        "dueAt": iso(automation.due_at),
        "status": automation.status.value,
        "executedAt": _maybe(automation.executed_at),
        "latenessMs": automation.lateness_ms,
        "reason": automation.reason,
    }


def message_json(
    message: Message, client_id: UUID, link: Callable[[UUID], Link] | None = None
) -> dict[str, Any]:
    """Show a message. Whoever is not the client is the psychologist, or was before a hand-over.

    `link` makes the links to attachments; without it they are described only.
    """
    shown = payloads.message_fields(message)
    shown["sender"] = {
        "id": message.sender_id,
        "fullName": message.sender_name,
        "role": "client" if message.sender_id == client_id else "psychologist",
    }
    shown["message"] = message.text
    shown["isRead"] = message.read_at is not None
    shown["readAt"] = _maybe(message.read_at)
    if message.attachment is not None:
        made = link(message.attachment.id) if link is not None else None
        shown["attachment"] = attachment_json(message.attachment, made)
    return shown


def attachment_json(attachment: Attachment, link: Link | None) -> dict[str, Any]:
    """Show an attachment, with a link to it."""
    shown = payloads.attachment_data(attachment)
    if link is not None:
        url = link_to(f"/chat/attachments/{attachment.id}/content?token={link.token}")
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
        "startTime": _wall(wall.start),
        "endDate": wall.end_day.isoformat(),
        "endTime": _wall(wall.end),
        "timezone": wall.timezone,
        "psychologist": {"id": str(counseling.psychologist_id), "fullName": counseling.psychologist_name},
        "chatSession": chat_session,
    }


def listed_counseling_json(counseling: Counseling, reader: UUID, cancel_reason: str | None) -> dict[str, Any]:
    """Show a counselling to the caller who looks it up: also whom to expect, and why it was cancelled."""
    client = {"id": str(counseling.client_id), "fullName": counseling.client_name}
    return counseling_json(counseling, reader) | {"client": client, "cancelReason": cancel_reason}


def _wall(at: time) -> str:
    return at.isoformat("seconds" if at.second else "minutes")


def psychologist_json(psychologist: Psychologist) -> dict[str, Any]:
    """Show a psychologist."""
    return {
        "id": str(psychologist.id),
        "fullName": psychologist.full_name,
        "timezone": psychologist.timezone,
        "isActive": psychologist.is_active,
    }


def availability_json(said: Availability) -> dict[str, Any]:
    """Show when a psychologist works."""
    return {
        "timezone": said.timezone,
        "weekly": [{"weekday": one.weekday} | _hours(one.hours) for one in said.weekly],
        "exceptions": [
            {"date": one.date.isoformat(), "isAvailable": one.is_available} | _hours(one.hours)
            for one in said.exceptions
        ],
    }


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


def _hours(hours: Hours) -> dict[str, Any]:
    return {"startTime": _wall(hours.start), "endTime": _wall(hours.end)}


def slot_json(found: FreeSlot) -> dict[str, Any]:
    """Show times that can be booked."""
    slot, wall = found.slot, found.slot.wall_times()
    return {
        "startTime": _wall(wall.start),
        "endDate": wall.end_day.isoformat(),
        "endTime": _wall(wall.end),
        "startsAt": iso(slot.starts_at),
        "endsAt": iso(slot.ends_at),
        "free": found.free,
    }


def timeline_json(entry: TimelineEntry) -> dict[str, Any]:
    """Show a line of a timeline."""
    planned = entry.planned_at
    # What was called off was not run: it is neither early nor late.
    due_at = planned if not entry.called_off else None
    return {
        "trigger": entry.trigger,
        "from": entry.source,
        "to": entry.destination,
        "actorId": str(entry.actor_id) if entry.actor_id else None,
        "plannedAt": _maybe(planned),
        "at": iso(entry.at),
        "latenessMs": max(0, to_ms(entry.at) - to_ms(due_at)) if due_at else None,
        "outcome": entry.outcome,
        "reason": entry.reason,
    }


def notification_json(notification: Notification) -> dict[str, Any]:
    """Show a notification, as it was told and whether it was read."""
    return {
        **payloads.notification_data(notification),
        "isRead": notification.read_at is not None,
        "readAt": _maybe(notification.read_at),
    }


def calendar_link_json(secret: str) -> dict[str, Any]:
    """Show the link to a calendar."""
    return {"url": link_to(f"/calendar.ics?token={secret}")}


def link_to(path: str) -> str:
    """Make a link to a route of the service."""
    # Relative: only the caller knows by which address this service is reached.
    return PREFIX + path


def access_json(access: RealtimeAccess) -> dict[str, Any]:
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
        return shown | _channels_json(access.session_id)
    return shown | {"sessions": [{"sessionId": str(one), **_channels_json(one)} for one in access.sessions]}


def _channels_json(session_id: UUID) -> dict[str, str]:
    return {
        "channelName": channels.chat_channel(session_id),
        "typingChannelName": channels.typing_channel(session_id),
    }
