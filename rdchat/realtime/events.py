"""Realtime events: the channels, their names, and what is sent on them (see docs/realtime.md).

Payloads are JSON objects with camelCase names and ISO instants, exactly as subscribers receive them; ids may
still be UUIDs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rdchat.clock import iso
from rdchat.json_text import as_json

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.engine.change import Notification
    from statemachine import Attachment, Session
    from statemachine.effects import BroadcastStatus

MESSAGE: Final = "message"
SESSION_STATUS: Final = "session-status"
TYPING: Final = "typing"
NOTIFICATION: Final = "notification"
MESSAGE_READ: Final = "message-read"


def chat_channel(session_id: UUID) -> str:
    """Name the channel of a session: messages and status, published by the server alone."""
    return f"chat:session:{session_id}"


def typing_channel(session_id: UUID) -> str:
    """Name the channel on which participants say that they are typing."""
    return f"typing:session:{session_id}"


def notification_channel(person_id: UUID) -> str:
    """Name the channel of one person."""
    return f"notifications:user:{person_id}"


@dataclass(frozen=True, slots=True)
class Event:
    """One realtime event. `data` is its payload as JSON text, exactly as subscribers receive it.

    `ably_id` has the form `base:index`; events with one base form the group that is always published
    together, so that a retry repeats the very same ids.
    """

    channel: str
    ably_id: str
    name: str
    data: str

    @property
    def base(self) -> str:
        """Name the group that this event is published with."""
        return self.ably_id.rpartition(":")[0]


#: The name of what is not published but carried out: the tokens of a session are revoked.
REVOCATION: Final = "revocation"


def revocation_channel(session_id: UUID) -> str:
    """Name what stands in for a channel where the tokens of a session are revoked."""
    return f"revocation:session:{session_id}"


def new_parcel_id() -> int:
    """Make the id of a parcel: 63 bits of chance."""
    return random.getrandbits(63)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one commit of a session has for Ably: a row of the outbox until Ably has accepted all of it.

    `id` is a random number, `version` the session's after the commit: the order in which its parcels are
    delivered.
    """

    id: int
    session_id: UUID
    version: int
    created_at: datetime
    events: list[Event]


#: Ably refuses a publish over 64 KiB (error 40009); the rest is room for names, ids and framing.
_GROUP_BYTES: Final = 48 * 1024


class ParcelBuilder:
    """Collects the events of one commit of a session.

    Ids follow from the session, the version and the order of the events alone, so that whoever builds the
    parcel again builds the same one.
    """

    def __init__(self, session_id: UUID, version: int) -> None:
        self._session_id = session_id
        self._version = version
        self._groups: dict[str, _Group] = {}
        self.events: list[Event] = []

    def add(self, channel: str, name: str, data: dict[str, Any]) -> None:
        """Add an event."""
        group = self._groups.get(channel)
        if group is None:
            group = self._groups[channel] = _Group(len(self._groups))
        text = as_json(data)
        ably_id = group.next_id(self._session_id, self._version, len(text))
        self.events.append(Event(channel, ably_id, name, text.decode()))

    def revoke(self, at: datetime) -> None:
        """Add that the session's tokens are revoked. Behind everything else: its listeners hear the end.

        Those of before the second of `at`: tokens know no less, and the next ones must not be among them.
        """
        issued_before = int(at.timestamp()) * 1000
        self.add(
            revocation_channel(self._session_id),
            REVOCATION,
            {"revocationKey": self._session_id, "issuedBefore": issued_before},
        )

    def build(self, parcel_id: int, created_at: datetime) -> Parcel | None:
        """Give the parcel, unless there is nothing in it."""
        if not self.events:
            return None
        return Parcel(parcel_id, self._session_id, self._version, created_at, self.events)


@dataclass(slots=True)
class _Group:
    """The events of one channel in one commit, split where a publish would become too large."""

    channel: int
    part: int = 0
    index: int = -1
    size: int = 0

    def next_id(self, session_id: UUID, version: int, size: int) -> str:
        self.size += size
        if self.index >= 0 and self.size > _GROUP_BYTES:
            self.part, self.index, self.size = self.part + 1, -1, size
        self.index += 1
        return f"{session_id.hex}-{version}-{self.channel}-{self.part}:{self.index}"


def message_data(
    *,
    message_id: UUID,
    session_id: UUID,
    seq: int,
    sender_id: UUID,
    sender_name: str,
    content: str,
    message_type: str,
    client_message_id: str | None,
    created_at: datetime,
    attachment: Attachment | None = None,
) -> dict[str, Any]:
    """Make the payload of a `message` event."""
    data: dict[str, Any] = {
        "id": message_id,
        "sessionId": session_id,
        "seq": seq,
        "senderId": sender_id,
        "senderName": sender_name,
        "content": content,
        "messageType": message_type,
        "isAutomated": message_type == "automated",
        "createdAt": iso(created_at),
    }
    if client_message_id is not None:
        data["clientMessageId"] = client_message_id
    if attachment is not None:
        data["attachment"] = attachment_data(attachment)
    return data


def attachment_data(attachment: Attachment) -> dict[str, Any]:
    """Describe an attachment, without a link: those live for minutes, what is published for longer."""
    data: dict[str, Any] = {
        "id": attachment.id,
        "fileName": attachment.file_name,
        "contentType": attachment.content_type,
        "size": attachment.size,
    }
    if attachment.width is not None:
        data |= {"width": attachment.width, "height": attachment.height}
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
        "type": notification.type,
        "title": notification.title,
        "message": notification.message,
        "data": {
            "sessionId": str(notification.session_id) if notification.session_id is not None else None,
            "counselingId": str(notification.counseling_id),
        },
        "createdAt": iso(notification.created_at),
    }


def notification_parcel(notification: Notification) -> Parcel:
    """Make the parcel of one notification that no commit of a session carries."""
    event = Event(
        channel=notification_channel(notification.person_id),
        ably_id=f"{notification.id.hex}:0",
        name=NOTIFICATION,
        data=as_json(notification_data(notification)).decode(),
    )
    # Where there is no session, the counselling stands for it: parcels of one are delivered in order.
    about = notification.session_id or notification.counseling_id
    return Parcel(new_parcel_id(), about, 0, notification.created_at, [event])


def read_data(session_id: UUID, person_id: UUID, up_to_seq: int, at: datetime) -> dict[str, Any]:
    """Make the payload of a `message-read` event: everything up to `upToSeq` was read."""
    return {
        "sessionId": str(session_id),
        "userId": str(person_id),
        "upToSeq": up_to_seq,
        "readAt": iso(at),
    }


def read_parcel(session_id: UUID, version: int, person_id: UUID, up_to_seq: int, at: datetime) -> Parcel:
    """Make the parcel of one reader's step. Its id follows from who has read how far."""
    event = Event(
        channel=chat_channel(session_id),
        ably_id=f"{session_id.hex}-read-{person_id.hex[-12:]}-{up_to_seq}:0",
        name=MESSAGE_READ,
        data=as_json(read_data(session_id, person_id, up_to_seq, at)).decode(),
    )
    return Parcel(new_parcel_id(), session_id, version, at, [event])


def typing_data(person_id: UUID, *, is_typing: bool, at: datetime) -> dict[str, Any]:
    """Make the payload of a `typing` event."""
    return {"userId": str(person_id), "isTyping": is_typing, "timestamp": iso(at)}
