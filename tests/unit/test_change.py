"""What decisions on a session become: messages, lines of the timeline, notifications, events of a commit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import orjson
import pytest

from rdchat.engine import change as changes
from rdchat.engine.change import Change, ChangeBuilder
from rdchat.events import channels, payloads
from statemachine import (
    AutomationKind,
    Cancel,
    Command,
    Decision,
    EndSession,
    Extend,
    Reassign,
    Refusal,
    RefusalCode,
    RunAutomation,
    SendMessage,
    Session,
    Status,
    step,
)
from statemachine.attachment import Attachment
from statemachine.schedule import Leads
from tests.support.memory_storage import MemoryStorage, SetClock

if TYPE_CHECKING:
    from datetime import datetime

    from rdchat.domain.message import Message

COMMAND, MESSAGE = UUID(int=1), UUID(int=2)
NOW = SetClock().instant


def text_of(kind: str, session: Session) -> str:
    return f"{kind} of {session.id}"


def a_session(status: Status) -> Session:
    session = MemoryStorage().add(SetClock(), status=status)
    session.version = 7
    return session


def decide(
    builder: ChangeBuilder, command: Command, at: datetime, actor_id: UUID | None = None
) -> Message | None:
    decision = step(builder.change.after, command, at)
    assert isinstance(decision, Decision), decision
    return builder.add(decision, command_id=COMMAND, actor_id=actor_id)


@pytest.fixture
def open_session() -> Session:
    return a_session(Status.ACTIVE)


@pytest.fixture
def builder(open_session: Session) -> ChangeBuilder:
    return ChangeBuilder(open_session, text_of)


def test_nothing_decided_is_an_empty_change(builder: ChangeBuilder, open_session: Session) -> None:
    assert builder.is_empty
    assert builder.change.before is builder.change.after is open_session
    assert builder.change.outbox_entry is None
    assert builder.change.automations == []
    assert (builder.change.cancels_timers, builder.change.reschedules_timers) == (False, False)


@pytest.mark.parametrize(
    ("attachment", "kind"),
    [
        (None, "text"),
        (Attachment(UUID(int=5), "a.pdf", "application/pdf", 10), "file"),
        (Attachment(UUID(int=5), "a.png", "image/png", 10, 3, 4), "image"),
    ],
)
def test_what_a_person_says_is_a_message_and_no_line(
    builder: ChangeBuilder, open_session: Session, attachment: Attachment | None, kind: str
) -> None:
    command = SendMessage(MESSAGE, open_session.client_id, "Halo", "c-1", attachment)
    said = decide(builder, command, NOW, open_session.client_id)
    change = builder.change
    assert said is not None
    assert change.messages == [said]
    assert (said.id, said.session_id, said.seq, said.text) == (MESSAGE, open_session.id, 1, "Halo")
    assert (said.sender_id, said.sender_name) == (open_session.client_id, "Budi")
    assert (said.message_type, said.client_message_id, said.created_at) == (kind, "c-1", NOW)
    assert said.attachment == attachment
    assert not builder.is_empty
    assert change.only_talks
    assert (change.timeline, change.notifications) == ([], [])
    assert change.has_spoken(open_session.client_id)
    assert not change.has_spoken(open_session.psychologist_id)
    change.again = True
    assert not change.only_talks


def test_what_the_psychologist_says_bears_the_psychologists_name(
    builder: ChangeBuilder, open_session: Session
) -> None:
    said = decide(builder, SendMessage(MESSAGE, open_session.psychologist_id, "Halo", None), NOW)
    assert said is not None
    assert (said.sender_id, said.sender_name) == (open_session.psychologist_id, "Sari")


def test_a_notification_is_published_as_it_is_kept(builder: ChangeBuilder, open_session: Session) -> None:
    decide(builder, Cancel(open_session.client_id), NOW, open_session.client_id)
    (told,) = builder.change.notifications
    assert builder.change.outbox_entry is not None
    (event,) = [one for one in builder.change.outbox_entry.events if one.name == "notification"]
    assert orjson.loads(event.data) == payloads.notification_data(told)


def test_an_automated_message_is_the_psychologists_and_nobody_has_spoken() -> None:
    session = a_session(Status.PENDING)
    builder, start = ChangeBuilder(session, text_of), session.starts_at
    assert decide(builder, RunAutomation(AutomationKind.ENABLE_CHAT, 1), start) is None
    change = builder.change
    (said,) = change.messages
    assert isinstance(said.id, UUID)
    assert (said.session_id, said.seq, said.text) == (session.id, 1, f"enable_chat of {session.id}")
    assert (said.sender_id, said.sender_name) == (session.psychologist_id, "Sari")
    assert (said.message_type, said.client_message_id, said.created_at) == ("automated", None, start)
    assert not change.has_spoken(session.psychologist_id)
    (line,) = change.timeline
    assert (line.command_id, line.trigger, line.actor_id) == (COMMAND, "enable_chat", None)
    assert (line.source, line.destination) == ("pending", "active")
    assert (line.planned_at, line.at) == (start, start)
    assert (line.outcome, line.reason) == ("done", None)
    assert change.automations == [change.after.automations[AutomationKind.ENABLE_CHAT]]
    assert not change.only_talks
    told = change.notifications
    assert [one.person_id for one in told] == list(session.participants)
    assert {(one.type, one.created_at, one.starts_at) for one in told} == {("chat_enabled", start, start)}
    again = ChangeBuilder(session, text_of)
    decide(again, RunAutomation(AutomationKind.ENABLE_CHAT, 1), start)
    assert again.change.notifications == told
    assert told[0].id != told[1].id
    session.version += 1
    later = ChangeBuilder(session, text_of)
    decide(later, RunAutomation(AutomationKind.ENABLE_CHAT, 1), start)
    assert not {one.id for one in later.change.notifications} & {one.id for one in told}
    assert change.outbox_entry is not None
    names = [(event.channel, event.name) for event in change.outbox_entry.events]
    assert {name for channel, name in names if channel.endswith(str(session.id))} == {
        "message",
        "session-status",
    }
    assert [name for channel, name in names if channel.endswith(str(session.psychologist_id))] == [
        "notification"
    ]


def test_an_end_by_hand_is_a_line_with_its_actor_and_calls_off_what_was_planned(
    builder: ChangeBuilder, open_session: Session
) -> None:
    by = open_session.psychologist_id
    decide(builder, EndSession(by), NOW, by)
    change = builder.change
    assert (change.timeline[0].trigger, change.timeline[0].actor_id) == ("end", by)
    assert (change.timeline[0].planned_at, change.timeline[0].outcome, change.timeline[0].reason) == (
        None,
    ) * 3
    called_off = change.timeline[1:]
    assert {line.trigger for line in called_off} <= set(AutomationKind)
    assert {line.command_id for line in called_off} <= {COMMAND}
    assert len(change.automations) == len(AutomationKind)
    assert (change.cancels_timers, change.reschedules_timers) == (True, False)
    assert change.after.status is Status.COMPLETED


def test_several_decisions_are_one_change_with_one_entry(
    builder: ChangeBuilder, open_session: Session
) -> None:
    client = open_session.client_id
    decide(builder, SendMessage(MESSAGE, client, "Halo", None), NOW, client)
    entry = builder.change.outbox_entry
    assert entry is not None
    first = len(entry.events)
    decide(builder, SendMessage(uuid4(), client, "Apa kabar?", None), NOW + timedelta(seconds=1), client)
    decide(builder, Cancel(client, "Sakit"), NOW + timedelta(seconds=2), client)
    change = builder.change
    assert change.outbox_entry is entry
    assert (entry.session_id, entry.version, entry.created_at) == (open_session.id, 8, NOW)
    assert len(entry.events) > first
    assert [message.seq for message in change.messages] == [1, 2]
    assert [(told.person_id, told.reason) for told in change.notifications] == [
        (open_session.psychologist_id, "Sakit")
    ]
    assert change.before is open_session


def test_talk_takes_the_numbers_that_the_commit_gave(builder: ChangeBuilder, open_session: Session) -> None:
    client = open_session.client_id
    for text in ("Halo", "Apa kabar?"):
        decide(builder, SendMessage(uuid4(), client, text, None), NOW, client)
    change = builder.change
    before = change.outbox_entry
    assert before is not None
    change.renumber(12, 9)
    assert [message.seq for message in change.messages] == [8, 9]
    assert (change.after.version, change.after.last_seq) == (12, 9)
    assert change.outbox_entry is not None
    entry = change.outbox_entry
    assert (entry.id, entry.session_id, entry.version) == (before.id, open_session.id, 12)
    assert entry.created_at == before.created_at
    assert len(entry.events) == len(before.events)
    assert [event.data for event in entry.events] != [event.data for event in before.events]
    change.outbox_entry = None
    change.renumber(13, 10)
    assert change.outbox_entry is None


# ---- one command, decided alone ---------------------------------------------------------------------------


def test_one_command_decided_alone_is_a_change_with_its_line(open_session: Session) -> None:
    actor = open_session.psychologist_id
    change = changes.decide(
        open_session,
        EndSession(actor),
        NOW,
        command_id=COMMAND,
        actor_id=actor,
        text_of=text_of,
    )
    assert isinstance(change, Change)
    assert change.before is open_session
    assert change.after.status is Status.COMPLETED
    assert change.after.ended_at == NOW
    line = change.timeline[0]
    assert (line.command_id, line.actor_id, line.trigger, line.at) == (COMMAND, actor, "end", NOW)
    assert [message.text for message in change.messages] == [f"auto_end of {open_session.id}"]


def test_what_the_session_refuses_is_a_refusal(open_session: Session) -> None:
    stranger = UUID(int=99)
    refusal = changes.decide(
        open_session, EndSession(stranger), NOW, command_id=COMMAND, actor_id=stranger, text_of=text_of
    )
    assert refusal == Refusal(RefusalCode.NOT_PARTICIPANT, None)


# ---- who may listen on ------------------------------------------------------------------------------------


def revocations(builder: ChangeBuilder) -> list[dict[str, object]]:
    assert builder.change.outbox_entry is not None
    return [
        orjson.loads(event.data)
        for event in builder.change.outbox_entry.events
        if event.name == channels.REVOCATION
    ]


def test_the_tokens_of_a_session_that_is_over_are_revoked_and_those_of_both_desks(
    builder: ChangeBuilder, open_session: Session
) -> None:
    decide(builder, EndSession(open_session.client_id), NOW, open_session.client_id)
    keys = [channels.session_revocation_key(open_session.id)]
    keys += [channels.desk_revocation_key(person) for person in open_session.participants]
    second = int(NOW.timestamp()) * 1000
    assert revocations(builder) == [{"revocationKey": key, "issuedBefore": second} for key in keys]
    assert builder.change.cancels_timers
    assert not builder.change.reschedules_timers


def test_whose_session_it_was_listens_no_more_after_a_hand_over() -> None:
    session = a_session(Status.PENDING)
    builder, former = ChangeBuilder(session, text_of), session.psychologist_id
    decide(builder, Reassign(former, UUID(int=77), "Rina", "Asia/Makassar"), NOW, former)
    until = (int(NOW.timestamp()) + 2) * 1000
    assert revocations(builder) == [{"clientId": str(former), "issuedBefore": until}]
    assert (builder.change.cancels_timers, builder.change.reschedules_timers) == (False, False)


def test_who_hands_over_reads_the_time_in_their_own_zone_and_the_others_in_theirs() -> None:
    session = a_session(Status.PENDING)
    session.client_timezone, session.psychologist_timezone = "Asia/Jakarta", "Asia/Jayapura"
    builder, former, new = ChangeBuilder(session, text_of), session.psychologist_id, UUID(int=77)
    decide(builder, Reassign(None, new, "Rina", "Asia/Makassar"), NOW, uuid4())
    told = {one.person_id: one for one in builder.change.notifications}
    assert {person: one.timezone for person, one in told.items()} == {
        session.client_id: "Asia/Jakarta",
        new: "Asia/Makassar",
        former: "Asia/Jayapura",
    }
    assert "dialihkan ke Rina" in told[former].message


def test_a_new_end_takes_the_timers_out_and_puts_new_ones_in(
    builder: ChangeBuilder, open_session: Session
) -> None:
    by, later = open_session.psychologist_id, open_session.ends_at + timedelta(minutes=30)
    decide(builder, Extend(by, later, Leads()), NOW, by)
    assert (builder.change.cancels_timers, builder.change.reschedules_timers) == (True, True)
    assert builder.change.automations == [], "a new plan settles none of its own"


def test_what_comes_too_late_leaves_a_line_that_says_why_it_was_not_run() -> None:
    session = a_session(Status.PENDING)
    builder = ChangeBuilder(session, text_of)
    decide(builder, RunAutomation(AutomationKind.INITIAL_MESSAGE, 1), session.starts_at)
    skipped = builder.change.after.automations[AutomationKind.INITIAL_MESSAGE]
    (line,) = builder.change.timeline
    assert skipped.reason is not None
    assert (line.outcome, line.reason) == ("skipped", skipped.reason)


def test_an_opening_is_broadcast_with_its_status() -> None:
    session = a_session(Status.PENDING)
    builder = ChangeBuilder(session, text_of)
    decide(builder, RunAutomation(AutomationKind.ENABLE_CHAT, 1), session.starts_at)
    entry = builder.change.outbox_entry
    assert entry is not None
    assert 0 <= entry.id < 2**63
    (event,) = [one for one in entry.events if one.name == channels.SESSION_STATUS]
    assert event.channel == channels.chat_channel(session.id)
    assert orjson.loads(event.data)["status"] == "chat_enabled"
