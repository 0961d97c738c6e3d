"""What one commit does to one session: the rows to write, collected from the decisions of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid5

from rdchat.common.ids import new_id
from rdchat.domain.appointment import Appointment
from rdchat.domain.message import Message, MessageType, type_of
from rdchat.domain.timeline import TimelineEntry, called_off
from rdchat.events import channels, payloads
from rdchat.events.outbox_entry import (
    OutboxEntry,
    OutboxEntryBuilder,
    add_message,
    message_entry,
    new_entry_id,
)
from rdchat.texts.notifications import appointment_notification
from statemachine import Refusal, SendMessage, step
from statemachine.effects import (
    BroadcastStatus,
    CancelTimers,
    ExcludeListener,
    Notify,
    RescheduleTimers,
    StoreAutomatedMessage,
    StoreMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rdchat.domain.notification import Notification
    from statemachine import Automation, AutomationKind, Command, Decision, Session
    from statemachine.effects import Effect


@dataclass(slots=True)
class Change:
    """The difference between `before` and `after`.

    `before.version` is the fence; of a change that `only_talks`, `before.state_version`. `again`: part of it
    may have been committed before, or may yet be, on a connection that was lost. `slack`: how many messages
    of others, committed meanwhile, may come before its own if it only talks.
    """

    before: Session
    after: Session
    messages: list[Message] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    outbox_entry: OutboxEntry | None = None
    cancel_reason: str | None = None
    cancels_timers: bool = False
    reschedules_timers: bool = False
    again: bool = False
    slack: int = 0

    @property
    def only_talks(self) -> bool:
        """Whether it adds messages and does nothing else: all else leaves a line in the timeline.

        What is tried again is fenced in full: of it and the earlier attempt, whichever comes first raises the
        fence before the other.
        """
        return not self.timeline and not self.again

    def has_spoken(self, person_id: UUID) -> bool:
        """Whether the change has a message that a person has written."""
        return any(one.sender_id == person_id and not one.is_automated for one in self.messages)

    def renumber(self, version: int, last_seq: int) -> None:
        """Take the numbers that the commit has given: of talk, when others have talked meanwhile."""
        first = last_seq - len(self.messages) + 1
        self.messages = [replace(message, seq=first + n) for n, message in enumerate(self.messages)]
        self.after.version, self.after.last_seq = version, last_seq
        if self.outbox_entry is not None:
            self.outbox_entry = message_entry(
                self.outbox_entry.id, self.after.id, version, self.outbox_entry.created_at, self.messages
            )

    @property
    def automations(self) -> list[Automation]:
        """The automations that the change settled. A new plan settles none of its own."""
        if self.after.schedule_version != self.before.schedule_version:
            return []
        before = self.before.automations
        return [now for kind, now in self.after.automations.items() if now is not before[kind]]


#: What leaves a message instead of a line in the timeline.
_SAID = SendMessage.trigger


class ChangeBuilder:
    """Collects decisions on one session, in order, into one change.

    `text_of` gives the automated text of a kind in a session.
    """

    def __init__(self, session: Session, text_of: Callable[[str, Session], str]) -> None:
        self.change = Change(session, session)
        self._text_of = text_of
        self._version = session.version + 1
        self._entry = OutboxEntryBuilder(session.id, self._version)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been decided yet."""
        return self.change.after is self.change.before

    def add(self, decision: Decision, *, command_id: UUID, actor_id: UUID | None) -> Message | None:
        """Take in a decision. Return the message that it stores for a participant, if it does."""
        change = self.change
        said: Message | None = None
        session = decision.session
        if decision.trigger != _SAID:
            planned = session.automations.get(cast("AutomationKind", decision.trigger))
            change.timeline.append(
                TimelineEntry(
                    command_id=command_id,
                    trigger=decision.trigger,
                    actor_id=actor_id,
                    source=decision.source.value,
                    destination=session.status.value,
                    planned_at=planned.due_at if planned else None,
                    at=decision.at,
                    outcome=planned.status.value if planned else None,
                    reason=planned.reason if planned else None,
                )
            )
            change.timeline += called_off(change.after, decision, command_id)
        for effect in decision.effects:
            match effect:
                case StoreMessage():
                    said = self._store(session, effect)
                case StoreAutomatedMessage():
                    self._store_automated(session, effect)
                case BroadcastStatus():
                    self._entry.add(
                        channels.chat_channel(session.id),
                        channels.SESSION_STATUS,
                        payloads.status_data(session, effect),
                    )
                case Notify():
                    self._notify(session, effect)
                case _:
                    self._arrange(session, effect, decision.at)
        change.after = session
        if change.outbox_entry is None:
            # It shares the builder's list: what is added later is in it as well.
            change.outbox_entry = self._entry.build(new_entry_id(), decision.at)
        return said

    def _arrange(self, session: Session, effect: Effect, at: datetime) -> None:
        """Take in what is done to timers and to tokens."""
        match effect:
            case CancelTimers():
                # It is over: nothing of it runs any more, and no one listens for long.
                self.change.cancels_timers = True
                keys = [channels.session_revocation_key(session.id)]
                keys += map(channels.desk_revocation_key, session.participants)
                self._entry.revoke(keys, at)
            case RescheduleTimers():
                self.change.cancels_timers = self.change.reschedules_timers = True
            case ExcludeListener():
                self._entry.exclude(effect.person_id, at)

    def _store(self, session: Session, effect: StoreMessage) -> Message:
        return self._say(
            Message(
                id=effect.message_id,
                session_id=session.id,
                seq=effect.seq,
                sender_id=effect.sender_id,
                sender_name=session.name_of(effect.sender_id),
                text=effect.text,
                message_type=type_of(effect.attachment),
                client_message_id=effect.client_message_id,
                created_at=effect.at,
                attachment=effect.attachment,
            )
        )

    def _store_automated(self, session: Session, effect: StoreAutomatedMessage) -> None:
        self._say(
            Message(
                id=new_id(),
                session_id=session.id,
                seq=effect.seq,
                sender_id=session.psychologist_id,
                sender_name=session.psychologist_name,
                text=self._text_of(effect.kind.value, session),
                message_type=MessageType.AUTOMATED,
                client_message_id=None,
                created_at=effect.at,
            )
        )

    def _say(self, message: Message) -> Message:
        self.change.messages.append(message)
        add_message(self._entry, message)
        return message

    def _notify(self, session: Session, effect: Notify) -> None:
        # Derived, not random: computed again, this notification has the same id.
        appointment = Appointment.of_session(session)
        if effect.person_id not in session.participants:
            # The psychologist who had it until now.
            former = self.change.after.psychologist_timezone
            appointment = replace(appointment, former_timezone=former)
        new = appointment_notification(
            appointment,
            uuid5(session.id, f"{effect.person_id}:{effect.type}:{self._version}"),
            effect.person_id,
            effect.type,
            effect.at,
            reason=effect.reason,
        )
        self.change.notifications.append(new)
        self._entry.add(
            channels.notification_channel(new.person_id),
            channels.NOTIFICATION,
            payloads.notification_data(new),
        )


def decide(
    session: Session,
    command: Command,
    now: datetime,
    *,
    command_id: UUID,
    actor_id: UUID | None,
    text_of: Callable[[str, Session], str],
) -> Change | Refusal:
    """Put one command to a session, and collect what it changes."""
    decision = step(session, command, now)
    if isinstance(decision, Refusal):
        return decision
    builder = ChangeBuilder(session, text_of)
    builder.add(decision, command_id=command_id, actor_id=actor_id)
    return builder.change
