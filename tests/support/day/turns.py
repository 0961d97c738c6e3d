"""Scenes in which a session goes another way: extended, moved, called off, or with no one there."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from config import automated_text
from tests.support.day.pace import PACE
from tests.support.envelope import assert_refused
from tests.support.sessions import instant, reaches

if TYPE_CHECKING:
    from tests.support.day.cast import Day
    from tests.support.service import Person

_MINUTE = timedelta(minutes=1)


def due(session: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    return {one["kind"]: (one["status"], instant(one["dueAt"])) for one in session["automations"]}


async def extended_after_the_warning(day: Day) -> None:
    """With the end in sight, Dewi takes a minute more. The end that was planned passes by."""
    dewi, client = day["Dewi"], day.guest()
    session_id = await day.chat(client, dewi, 0, 5)
    path = f"/chat/sessions/{session_id}"
    mine, hers = await day.both_phones(client, dewi, session_id)
    assert_refused(await dewi.put(f"{path}/extend", {"minutes": 1}), 409, "ILLEGAL_TRANSITION")
    await mine.hears("ending_soon")
    assert_refused(await client.put(f"{path}/extend", {"minutes": 1}), 403, "FORBIDDEN")
    extended = (await dewi.put(f"{path}/extend", {"minutes": 1})).data
    assert (extended["status"], instant(extended["endsAt"])) == ("active", day.at(5) + _MINUTE)
    plan = due(extended)
    assert plan["end_warning"] == ("scheduled", day.at(3) + _MINUTE)
    assert plan["auto_end"] == ("scheduled", day.at(5) + _MINUTE)
    await asyncio.gather(mine.hears("rescheduled"), hers.hears("rescheduled"))
    await mine.is_told("session_extended", session_id)
    await day.comes(5.3)
    assert (await client.say(session_id, "Terima kasih atas waktunya <d1>")).status == 201
    assert (await client.session(session_id))["status"] == "active"
    assert "completed" not in mine.statuses
    assert (await dewi.put(f"{path}/end")).status == 200
    await asyncio.gather(mine.hears("completed"), hers.hears("completed"))


async def extended_before_the_warning(day: Day) -> None:
    dewi, client = day["Dewi"], day.guest()
    session_id = await day.chat(client, dewi, 0, 8)
    path = f"/chat/sessions/{session_id}"
    mine, hers = await day.both_phones(client, dewi, session_id)
    await mine.hears("chat_enabled")
    # The same request twice is one minute, not two.
    key = {"headers": {"Idempotency-Key": "semenit"}}
    for _ in range(2):
        reply = await dewi.call("PUT", f"{path}/extend", json={"minutes": 1}, **key)
        assert instant(reply.data["endsAt"]) == day.at(8) + _MINUTE
    assert (await dewi.say(session_id, "Kita punya semenit lagi <d2>")).status == 201
    await day.comes(8.3)
    # Neither the warning nor the end came when they were due first.
    assert mine.statuses == hers.statuses == ["chat_enabled", "rescheduled"]
    assert (await client.put(f"{path}/end")).data["endReason"] == "ended_by_client"


async def not_extended_into_the_next(day: Day) -> None:
    """The client has something else soon: there is no minute to be had."""
    dewi, client = day["Dewi"], day.guest()
    session_id = await day.chat(client, dewi, 0, 6)
    following = await day.books(client, day["Lestari"], 30, 10, method="online")
    assert following.status == 201, following.json
    mine, _ = await day.both_phones(client, dewi, session_id)
    await mine.hears("chat_enabled")
    refused = await dewi.put(f"/chat/sessions/{session_id}/extend", {"minutes": 1})
    assert_refused(refused, 409, "CLIENT_LIMIT")
    await mine.hears("completed")
    over = await reaches(client, session_id, "completed")
    assert instant(over["endsAt"]) == day.at(6)
    assert (await client.put(f"/counselings/{following.data['id']}/cancel")).data["status"] == "cancelled"


async def some_do_not_come(day: Day) -> None:
    """Wulan waits for one who does not come, is late for one, and one appointment no one remembers."""
    wulan, (absent, alone, forgetful) = day["Wulan"], day.guests(3)
    sessions = [await day.chat(client, wulan, 0, 4) for client in (absent, alone, forgetful)]
    hers = await day.phone(wulan, sessions[0])
    mine = await day.phone(alone, sessions[1])
    await asyncio.gather(hers.hears("chat_enabled"), mine.hears("chat_enabled"))
    assert (await wulan.say(sessions[0], "Apakah Anda di sana? <w1>")).status == 201
    assert (await alone.say(sessions[1], "Saya sudah di sini <w2>")).status == 201
    expected = zip(
        (absent, alone, forgetful),
        sessions,
        ("client_absent", "psychologist_absent", "nobody_came"),
        strict=True,
    )
    for client, session_id, outcome in expected:
        over = await reaches(client, session_id, "completed", 30)
        assert (over["endReason"], over["outcome"]) == ("auto_ended", outcome)


async def moved_to_an_earlier_time(day: Day) -> None:
    """It opens when it was moved to, in the client's language, and not when it was booked for."""
    rini, client = day["Rini"], day.guest()
    booked = (await day.books(client, rini, 10, 4, language="en")).data
    session_id = booked["chatSession"]["sessionId"]
    mine, hers = await day.both_phones(client, rini, session_id)
    await moves(day, client, booked, 3, 4)
    await hers.is_told("session_rescheduled", session_id)
    await mine.hears("chat_enabled")
    session = await client.session(session_id)
    assert day.at(3) <= instant(session["startedAt"]) < day.at(10)
    assert mine.messages[1]["content"] == automated_text("enable_chat", "en")
    assert (await client.say(session_id, "It is earlier than I thought <r1>")).status == 201
    over = await reaches(client, session_id, "completed", 30)
    assert instant(over["endsAt"]) == day.at(7)
    await day.comes(10.5)
    assert await client.session(session_id) == over


async def moved_to_a_later_time(day: Day) -> None:
    """Already welcomed, Rini's client hears that it will be later; so it is, with a welcome of its own."""
    rini, client = day["Rini"], day.guest()
    booked = (await day.books(client, rini, 1, 4)).data
    session_id = booked["chatSession"]["sessionId"]
    mine, hers = await day.both_phones(client, rini, session_id)
    await mine.hears_message(1)
    await moves(day, rini, booked, 7, 4)
    await mine.is_told("session_rescheduled", session_id)
    await day.comes(1.7)
    assert_refused(await client.say(session_id, "Halo?"), 400, "CHAT_NOT_ENABLED")
    await asyncio.gather(mine.hears("chat_enabled"), hers.hears("chat_enabled"))
    session = await client.session(session_id)
    assert instant(session["startedAt"]) >= day.at(7)
    assert [one["seq"] for one in mine.messages] == [1, 2, 3]
    assert (await rini.say(session_id, "Maaf, saya terlambat <r2>")).status == 201
    late = await client.put(f"/counselings/{booked['id']}/reschedule", wish(day, booked, 20, 4))
    assert_refused(late, 409, "ILLEGAL_TRANSITION")
    await mine.hears("completed")


def wish(day: Day, booked: dict[str, Any], starts: float, lasts: float) -> dict[str, str]:
    """A time of today, by the clock of the zone that was booked in."""
    shift = day.at(starts) - instant(booked["scheduledAt"])
    start = _clock(booked, "startTime") + shift
    return {
        "date": f"{start:%Y-%m-%d}",
        "startTime": f"{start:%H:%M:%S}",
        "endTime": f"{start + timedelta(seconds=lasts * PACE):%H:%M:%S}",
        "timezone": booked["timezone"],
    }


def _clock(booked: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(f"{booked['date']}T{booked[name]}")


async def moves(day: Day, person: Person, booked: dict[str, Any], starts: float, lasts: float) -> None:
    moved = await person.put(f"/counselings/{booked['id']}/reschedule", wish(day, booked, starts, lasts))
    assert moved.status == 200, moved.json
    assert instant(moved.data["scheduledAt"]) == day.at(starts)
    assert instant(moved.data["endsAt"]) == day.at(starts + lasts)


async def cancelled_at_the_last_second(day: Day) -> None:
    """One second before the start the client calls it off. It never opens."""
    rini, client = day["Rini"], day.guest()
    booked = (await day.books(client, rini, 4, 4)).data
    session_id = booked["chatSession"]["sessionId"]
    mine, hers = await day.both_phones(client, rini, session_id)
    await day.comes(3)
    cancelled = await client.put(f"/counselings/{booked['id']}/cancel", {"reason": "Tidak sanggup."})
    assert cancelled.data["chatSession"]["status"] == "cancelled"
    await asyncio.gather(mine.hears("cancelled"), hers.is_told("session_cancelled", session_id))
    await day.comes(4.7)
    session = await client.session(session_id)
    assert (session["status"], session["startedAt"]) == ("cancelled", None)
    assert session["endReason"] == "client_cancelled"
    assert mine.statuses == hers.statuses == ["cancelled"]
    assert_refused(await rini.say(session_id, "Halo?"), 400, "SESSION_ENDED")


async def called_off_while_talking(day: Day) -> None:
    """Rini has to leave in the middle."""
    rini, client = day["Rini"], day.guest()
    booked = (await day.books(client, rini, 0, 10)).data
    session_id = booked["chatSession"]["sessionId"]
    mine, _ = await day.both_phones(client, rini, session_id)
    await mine.hears("chat_enabled")
    assert (await client.say(session_id, "Mulai dari mana ya <r3>")).status == 201
    assert (await rini.put(f"/counselings/{booked['id']}/cancel")).data["status"] == "cancelled"
    await asyncio.gather(mine.hears("cancelled"), mine.is_told("session_cancelled", session_id))
    assert mine.statuses == ["chat_enabled", "cancelled"]


async def by_telephone(day: Day) -> None:
    """A counselling without a chat goes by the clock alone."""
    lestari, client = day["Lestari"], day.guest()
    booked = (await day.books(client, lestari, 1, 3, method="online")).data
    assert booked["chatSession"] is None
    path = f"/counselings/{booked['id']}"

    async def status() -> str:
        shown: str = (await client.get(path)).data["status"]
        return shown

    assert await status() == "pending"
    await day.comes(1.1)
    assert await status() == "active"
    await day.comes(4.1)
    assert await status() == "completed"
    assert_refused(await client.put(f"{path}/cancel"), 409, "ILLEGAL_TRANSITION")


SCENES = (
    extended_after_the_warning,
    extended_before_the_warning,
    not_extended_into_the_next,
    some_do_not_come,
    moved_to_an_earlier_time,
    moved_to_a_later_time,
    cancelled_at_the_last_second,
    called_off_while_talking,
    by_telephone,
)
