"""What one commit does to one session: the rows to write, collected from the decisions of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast
from uuid import UUID, uuid4, uuid5

from rdchat.json_text import as_json
from rdchat.realtime import events
from rdchat.realtime.events import Event, Parcel, new_parcel_id
from statemachine.effects import (
    BroadcastStatus,
    DisarmTimers,
    Notify,
    StoreAutomatedMessage,
    StoreMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from statemachine import Automation, AutomationKind, Decision, Session

#: Ably refuses a publish over 64 KiB (error 40009); the rest is room for names, ids and framing.
_GROUP_BYTES: Final = 48 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is stored and shown. `message_type`: text, image, file, automated or system."""

    id: UUID
    session_id: UUID
    seq: int
    sender_id: UUID
    sender_name: str
    text: str
    message_type: str
    client_message_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a session's timeline. `planned_at` is set for timers; `actor_id` for people."""

    command_id: UUID
    trigger: str
    actor_id: UUID | None
    source: str
    destination: str
    planned_at: datetime | None
    at: datetime


@dataclass(slots=True)
class Change:
    """The difference between `before` and `after`; `before.version` is the fence."""

    before: Session
    after: Session
    messages: list[Message] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    parcel: Parcel | None = None
    cancel_reason: str | None = None
    disarms: bool = False

    @property
    def automations(self) -> list[Automation]:
        """The automations that the change settled."""
        before = self.before.automations
        return [now for kind, now in self.after.automations.items() if now is not before[kind]]


class ChangeBuilder:
    """Collects decisions on one session, in order, into one change.

    `text_of` gives the automated text of a kind in a language.
    """

    def __init__(self, session: Session, text_of: Callable[[str, str], str]) -> None:
        self.change = Change(session, session)
        self._text_of = text_of
        self._version = session.version + 1
        self._groups: dict[str, _Group] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been decided yet."""
        return self.change.after is self.change.before

    def add(self, decision: Decision, *, command_id: UUID, actor_id: UUID | None) -> Message | None:
        """Take in a decision. Returns the message that it stores for a participant, if it does."""
        change = self.change
        said: Message | None = None
        session = decision.session
        planned = session.automations.get(cast("AutomationKind", decision.trigger))
        if decision.changes_state or planned is not None:
            change.timeline.append(
                TimelineEntry(
                    command_id=command_id,
                    trigger=decision.trigger,
                    actor_id=actor_id,
                    source=decision.source.value,
                    destination=session.status.value,
                    planned_at=planned.due_at if planned else None,
                    at=decision.at,
                )
            )
        for effect in decision.effects:
            match effect:
                case StoreMessage():
                    said = self._store(session, effect)
                case StoreAutomatedMessage():
                    self._store_automated(session, effect)
                case BroadcastStatus():
                    self._emit(
                        events.chat_channel(session.id),
                        events.SESSION_STATUS,
                        events.status_data(session, effect),
                        effect.at,
                    )
                case Notify():
                    self._notify(session, effect)
                case DisarmTimers():
                    change.disarms = True
        change.after = session
        return said

    def _store(self, session: Session, effect: StoreMessage) -> Message:
        return self._say(
            Message(
                id=effect.message_id,
                session_id=session.id,
                seq=effect.seq,
                sender_id=effect.sender_id,
                sender_name=session.name_of(effect.sender_id),
                text=effect.text,
                message_type="text",
                client_message_id=effect.client_message_id,
                created_at=effect.at,
            )
        )

    def _store_automated(self, session: Session, effect: StoreAutomatedMessage) -> None:
        self._say(
            Message(
                id=uuid4(),
                session_id=session.id,
                seq=effect.seq,
                sender_id=session.psychologist_id,
                sender_name=session.psychologist_name,
                text=self._text_of(effect.kind.value, session.language),
                message_type="automated",
                client_message_id=None,
                created_at=effect.at,
            )
        )

    def _say(self, message: Message) -> Message:
        self.change.messages.append(message)
        data = events.message_data(
            message_id=message.id,
            session_id=message.session_id,
            seq=message.seq,
            sender_id=message.sender_id,
            sender_name=message.sender_name,
            content=message.text,
            message_type=message.message_type,
            client_message_id=message.client_message_id,
            created_at=message.created_at,
        )
        self._emit(events.chat_channel(message.session_id), events.MESSAGE, data, message.created_at)
        return message

    def _notify(self, session: Session, effect: Notify) -> None:
        # Derived, not random: whoever computes this notification again gives it the same id.
        notification_id = uuid5(session.id, f"{effect.person_id}:{effect.type}:{self._version}")
        data = events.notification_data(
            session,
            notification_id=notification_id,
            person_id=effect.person_id,
            kind=effect.type,
            at=effect.at,
        )
        self._emit(events.notification_channel(effect.person_id), events.NOTIFICATION, data, effect.at)

    def _emit(self, channel: str, name: str, data: dict[str, Any], at: datetime) -> None:
        group = self._groups.setdefault(channel, _Group(len(self._groups)))
        text = as_json(data)
        session_id = self.change.before.id
        ably_id = group.next_id(session_id, self._version, len(text))
        parcel = self.change.parcel
        if parcel is None:
            parcel = self.change.parcel = Parcel(new_parcel_id(), session_id, self._version, at, [])
        parcel.events.append(Event(channel, ably_id, name, text.decode()))


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
