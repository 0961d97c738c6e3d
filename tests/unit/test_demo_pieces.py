"""The parts of the demo that need no service: its appointment, its script, its picture of the states."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from rdchat.events import channels
from rdchat.events.outbox_entry import Event
from rdchat.local.demo.appointment import Appointment
from rdchat.local.demo.listener import decrypted
from rdchat.local.demo.picture import picture
from rdchat.local.demo.script import GOODBYE, TALK, Plan
from rdchat.realtime.channel_cipher import EventSealer
from rdchat.security.encryption import Encryptor


@pytest.mark.parametrize("hour", range(24))
def test_a_booking_is_on_one_date_at_every_hour(hour: int) -> None:
    now = datetime(2026, 11, 22, hour, 59, 50, 1, tzinfo=UTC)
    order = Appointment.after(now, Plan(600)).order()
    assert order["startTime"] < order["endTime"]


def test_a_booking_leaves_the_time_that_was_asked_for() -> None:
    now = datetime(2026, 11, 22, 7, 0, 0, 999_999, tzinfo=UTC)
    appointment = Appointment.after(now, Plan(12))
    assert timedelta(0) <= min(appointment.due.values()) - now <= timedelta(seconds=1)
    assert appointment.starts_at.microsecond == 0


@pytest.mark.parametrize("seconds", [12, 24, 600])
def test_every_line_is_said_in_its_part_of_the_session(seconds: int) -> None:
    plan = Plan(seconds)
    lines = plan.lines()
    warning = plan.length - plan.warning_lead
    assert [line.text for line in lines] == [text for _, text in (*TALK, *GOODBYE)]
    instants = [at for line in lines for at in (line.types_at, line.sends_at)]
    assert instants == sorted(instants)
    assert all((line.types_at >= warning) == line.after_warning for line in lines)
    assert all((line.sends_at >= warning) == line.after_warning for line in lines)
    assert plan.length - lines[-1].sends_at > timedelta(seconds=1.5)


def test_the_way_that_was_taken_is_heavy() -> None:
    drawn = picture({("pending", "active"): ("enable_chat", "07:00:00")}, "active")
    assert "┃ pending ┃━━━━━━━━━━━━▶┃ active ┃────────────▶│ ending_soon │" in drawn[2]
    assert "enable_chat" in drawn[0]
    assert "07:00:00" in drawn[1]


def test_a_session_that_was_called_off() -> None:
    drawn = picture({("pending", "cancelled"): ("cancel", "07:00:00")}, "cancelled")
    assert drawn[3].startswith("┗━━━━┳━━━━┛")
    assert drawn[4].startswith("     ┃")
    assert drawn[5].endswith("▷ cancelled ◀")


def test_what_is_encrypted_is_read_as_the_sdk_reads_it() -> None:
    keys = Encryptor(b"d" * 32).channel_keys
    event = Event(channels.chat_channel(uuid4()), "base:0", channels.MESSAGE, '{"content":"Halo 😊"}')
    sealed = EventSealer(keys).seal(event)
    read = decrypted(sealed.data, b64encode(keys.cipher).decode())
    assert (read["content"], set(read)) == ("Halo 😊", {"content", "proof"})
