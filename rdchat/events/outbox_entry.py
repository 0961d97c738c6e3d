"""Outbox entries: the events of one commit, grouped as they are published (see docs/realtime.md).

Payloads are JSON objects with camelCase names and ISO instants, exactly as subscribers receive them; ids may
still be UUIDs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rdchat.common.json import as_json
from rdchat.events import channels, payloads
from statemachine.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.domain.notification import Notification


@value
class Event:
    """One realtime event. `data` is its payload as JSON text, exactly as subscribers receive it.

    `ably_id` has the form `base:index`; events with one base form the group that is always published
    together, so that a retry repeats the very same ids.
    """

    #: How Ably's SDKs read `data`.
    encoding: ClassVar[str] = "json"

    channel: str
    ably_id: str
    name: str
    data: str

    @property
    def base(self) -> str:
        """Return the group that this event is published with."""
        return self.ably_id.rpartition(":")[0]


@value
class SealedEvent:
    """An event whose data is encrypted: Ably's SDKs decrypt it who have the channel's key."""

    encoding: ClassVar[str] = "json/utf-8/cipher+aes-256-cbc"

    channel: str
    ably_id: str
    name: str
    data: bytes


def new_entry_id() -> int:
    """Make the id of an outbox entry: 63 random bits."""
    return random.getrandbits(63)


@value
class OutboxEntry:
    """What one commit of a session has for Ably: a row of the outbox until Ably has accepted all of it.

    `id` is a random number, `version` the session's after the commit: the order in which its entries
    are delivered.
    """

    id: int
    session_id: UUID
    version: int
    created_at: datetime
    events: list[Event]


#: Ably refuses a publish over 64 KiB (error 40009); the rest is room for names, ids and framing, and for the
#: 67 bytes at the most that encrypting an event adds.
_GROUP_BYTES: Final = 48 * 1024


class OutboxEntryBuilder:
    """Collects the events of one commit of a session.

    Ids follow from the session, the version and the order of the events alone, so that building the outbox
    entry again gives the same one.
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

    def revoke(self, keys: Iterable[str], at: datetime) -> None:
        """Add the revocation of tokens, by their keys. It comes last, so that listeners hear the end first.

        Revokes those issued before the second of `at`: tokens know only seconds, and later ones stay valid.
        """
        issued_before = int(at.timestamp()) * 1000
        for key in keys:
            self.add(
                channels.revocation_channel(self._session_id),
                channels.REVOCATION,
                {"revocationKey": key, "issuedBefore": issued_before},
            )

    def exclude(self, person_id: UUID, at: datetime) -> None:
        """Add the revocation of all that one person listens with, who takes no part in the session any more.

        Whatever they were given is revoked, also for other sessions: they ask again, and get what is left. It
        is carried out when the second after the next has begun, so that it reaches what was given to them
        while their leaving was being committed.
        """
        self.add(
            channels.revocation_channel(self._session_id),
            channels.REVOCATION,
            {"clientId": person_id, "issuedBefore": (int(at.timestamp()) + 2) * 1000},
        )

    def build(self, entry_id: int, created_at: datetime) -> OutboxEntry | None:
        """Return the outbox entry; None if it holds no event."""
        if not self.events:
            return None
        return OutboxEntry(entry_id, self._session_id, self._version, created_at, self.events)


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


def notification_entries(made: Iterable[Notification]) -> list[OutboxEntry]:
    """Make the outbox entries of notifications that no commit of a session carries: one for a counselling."""
    entries: dict[UUID, OutboxEntry] = {}
    for one in made:
        event = Event(
            channel=channels.notification_channel(one.person_id),
            ably_id=f"{one.id.hex}:0",
            name=channels.NOTIFICATION,
            data=as_json(payloads.notification_data(one)).decode(),
        )
        # Without a session, the counselling takes its place: its outbox entries are delivered in order.
        about = one.session_id or one.counseling_id
        if about not in entries:
            entries[about] = OutboxEntry(new_entry_id(), about, 0, one.created_at, [])
        entries[about].events.append(event)
    return list(entries.values())


def read_entry(session_id: UUID, version: int, person_id: UUID, up_to_seq: int, at: datetime) -> OutboxEntry:
    """Make the outbox entry of a read receipt. Its event's id follows from who has read how far."""
    event = Event(
        channel=channels.chat_channel(session_id),
        ably_id=f"{session_id.hex}-read-{person_id.hex[-12:]}-{up_to_seq}:0",
        name=channels.MESSAGE_READ,
        data=as_json(payloads.read_data(session_id, person_id, up_to_seq, at)).decode(),
    )
    return OutboxEntry(new_entry_id(), session_id, version, at, [event])


def cut_entry(person_id: UUID, at: datetime) -> OutboxEntry:
    """Make the outbox entry that revokes what one person listens by, given to them before `at`.

    Tokens know only seconds: those of the second of `at` are revoked, unless that has only begun.
    """
    issued_before = round(at.timestamp() * 1000)
    event = Event(
        channel=channels.person_revocation_channel(person_id),
        ably_id=f"{person_id.hex}-cut-{issued_before}:0",
        name=channels.REVOCATION,
        data=as_json({"clientId": person_id, "issuedBefore": issued_before}).decode(),
    )
    # The person takes the place of a session.
    return OutboxEntry(new_entry_id(), person_id, 0, at, [event])


def add_message(entry: OutboxEntryBuilder, message: Message) -> None:
    """Add the event of a message."""
    data = payloads.message_data(message)
    entry.add(channels.chat_channel(message.session_id), channels.MESSAGE, data)


def message_entry(
    entry_id: int, session_id: UUID, version: int, created_at: datetime, messages: Iterable[Message]
) -> OutboxEntry | None:
    """Make the outbox entry of a commit that only added messages: the same each time, from the messages."""
    builder = OutboxEntryBuilder(session_id, version)
    for message in messages:
        add_message(builder, message)
    return builder.build(entry_id, created_at)
