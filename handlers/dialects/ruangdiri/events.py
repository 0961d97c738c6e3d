"""The app's events, beside ours on the same channels, and what the socket of notifications is told.

They are made from our own when these are published, in the same group and behind them, so that they come in
order and once. Their ids count on from ours. See docs/dialects.md for which there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
import structlog

from handlers.api.presenters import link_to
from handlers.dialects.ruangdiri.shapes import flat_attachment
from rdchat.common.errors import RdchatError
from rdchat.common.json import as_json
from rdchat.events import channels
from rdchat.events.outbox_entry import Event
from rdchat.files.links import Links
from statemachine.effects import StatusEvent

if TYPE_CHECKING:
    from rdchat.realtime.supplement import EventFacts
    from statemachine import Session

log = structlog.get_logger(__name__)

STATUS: Final = "session_status"
RECEIPT: Final = "read_receipt"
#: What replicas announce to each other: of whom, and which notification.
TOPIC: Final = "notifications"

#: Ably takes 64 KiB in one publish; the rest is room for framing.
_GROUP_BYTES: Final = 60 * 1024
#: What is added to a message at the most, in bytes, and to one with a file: names, a link.
_ADDED_BYTES: Final = 700
_ADDED_TO_FILE_BYTES: Final = 3 * 1024
_IN_ONE_RECEIPT: Final = 500

_OPEN: Final = {"status": "active", "isActive": True, "isChatEnabled": True}
_STATUSES: Final[dict[str, dict[str, Any]]] = {
    StatusEvent.CHAT_ENABLED: _OPEN,
    StatusEvent.ENDING_SOON: _OPEN,
    StatusEvent.COMPLETED: {"status": "completed", "isActive": False, "isChatEnabled": False},
    StatusEvent.CANCELLED: {"status": "cancelled", "isActive": False, "isChatEnabled": False},
}


@dataclass(frozen=True, slots=True)
class _Known:
    """What was looked up for some events."""

    clients: dict[UUID, UUID]
    sessions: dict[UUID, Session]


class EventSupplement:
    """Adds the app's events to those of one replica."""

    def __init__(self, facts: EventFacts) -> None:
        self._facts = facts
        settings = facts.settings
        self._links = Links(settings.encryption_keys.values(), facts.clock, base_url=settings.base_url)

    def regroup(self, events: list[Event]) -> list[Event]:
        """Divide groups that would be too large with what is added; from the events alone."""
        divided: list[Event] = []
        base, part, index, size = "", 0, -1, 0
        for event in events:
            added = _ADDED_TO_FILE_BYTES if '"attachment":' in event.data else _ADDED_BYTES
            cost = len(event.data.encode()) + added
            if event.base != base:
                base, part, index, size = event.base, 0, -1, 0
            size += cost
            if index >= 0 and size > _GROUP_BYTES:
                part, index, size = part + 1, -1, cost
            index += 1
            divided.append(event if not part else replace(event, ably_id=f"{base}.{part}:{index}"))
        return divided

    async def supplement(self, groups: list[list[Event]]) -> list[list[Event]]:
        """Return the groups with what the app hears. Raise UnavailableError."""
        try:
            known = await self._look_up([event for group in groups for event in group])
        except RdchatError:
            raise
        except Exception:
            # Ours go out in any case.
            log.exception("what events of the dialect need cannot be looked up")
            return groups
        return [await self._supplemented(group, known) for group in groups]

    def published(self, group: list[Event]) -> None:
        """Have people who are connected to any replica told of their notifications."""
        for event in group:
            if event.name == channels.NOTIFICATION:
                person_id = event.channel.rpartition(":")[2]
                notification_id = orjson.loads(event.data)["id"]
                self._facts.announcements.announce(TOPIC, f"{person_id} {notification_id}")

    async def _look_up(self, events: list[Event]) -> _Known:
        messages, sessions = set(), set()
        for event in events:
            if event.name == channels.MESSAGE:
                session_id = UUID(orjson.loads(event.data)["sessionId"])
                messages.add(session_id)
                if '"attachment":' in event.data:
                    sessions.add(session_id)
            elif event.name == channels.SESSION_STATUS and StatusEvent.RESCHEDULED in event.data:
                sessions.add(UUID(orjson.loads(event.data)["sessionId"]))
        return _Known(
            clients=await self._facts.get_clients(messages), sessions=await self._facts.get_sessions(sessions)
        )

    async def _supplemented(self, group: list[Event], known: _Known) -> list[Event]:
        shown, added = [], []
        for event in group:
            ours, beside = event, None
            try:
                if event.name == channels.MESSAGE:
                    ours = self._message(event, known)
                else:
                    beside = await self._beside(event, known)
            except RdchatError:
                raise
            except Exception:
                # Ours goes out in any case.
                log.exception("an event of the dialect cannot be made", name=event.name)
            shown.append(ours)
            if beside is not None:
                added.append(beside)
        # Ably takes the ids of one publish without gaps only.
        first = len(group)
        base = group[0].base
        return shown + [
            Event(group[0].channel, f"{base}:{first + number}", name, as_json(data).decode())
            for number, (name, data) in enumerate(added)
        ]

    def _message(self, event: Event, known: _Known) -> Event:
        """Add to a message how the app calls what it knows of it."""
        data = orjson.loads(event.data)
        session_id, sender_id = UUID(data["sessionId"]), UUID(data["senderId"])
        more = {
            "messageId": data["id"],
            "senderFullname": data["senderName"],
            "senderRole": "client" if known.clients.get(session_id) == sender_id else "psychologist",
            "timestamp": data["createdAt"],
        }
        if "attachment" in data:
            session = known.sessions.get(session_id)
            attachment = data["attachment"]
            if session is not None:
                attachment = attachment | {"url": self._link(attachment["id"], _other(session, sender_id))}
            more |= flat_attachment(attachment)
        return replace(event, data=as_json(data | more).decode())

    def _link(self, attachment_id: str, reader: UUID) -> str:
        """Make a link for the one who did not send the file: its sender looks at no event of their own."""
        link = self._links.sign(UUID(attachment_id), reader)
        return link_to(link.base_url, f"/chat/attachments/{attachment_id}/content?token={link.token}")

    async def _beside(self, event: Event, known: _Known) -> tuple[str, dict[str, Any]] | None:
        """Make what the app hears beside one of our events."""
        if event.name == channels.SESSION_STATUS:
            return _status(orjson.loads(event.data), known)
        if event.name == channels.MESSAGE_READ:
            return await self._receipt(orjson.loads(event.data))
        return None

    async def _receipt(self, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        ids = await self._facts.list_read_messages(
            UUID(data["sessionId"]), UUID(data["userId"]), data["upToSeq"], limit=_IN_ONE_RECEIPT
        )
        return RECEIPT, {
            "sessionId": data["sessionId"],
            "messageIds": [str(one) for one in reversed(ids)],
            "userId": data["userId"],
            "readAt": data["readAt"],
            "timestamp": data["readAt"],
        }


def _status(data: dict[str, Any], known: _Known) -> tuple[str, dict[str, Any]] | None:
    stands = _STATUSES.get(data["status"])
    if stands is None:
        # It was moved, or extended: of one that is open the app is told the new end.
        session = known.sessions.get(UUID(data["sessionId"]))
        if session is None or not session.is_open:
            return None
        stands = _OPEN
    return STATUS, {"sessionId": data["sessionId"], **stands, "endsAt": data["endsAt"]}


def _other(session: Session, sender_id: UUID) -> UUID:
    return session.psychologist_id if sender_id == session.client_id else session.client_id
