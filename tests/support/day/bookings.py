"""Scenes at the desk: hours and slots, who gets whom, clashes, and the same request twice, all far ahead."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.envelope import assert_refused
from tests.support.sessions import instant
from tests.support.soon import sunday
from tests.support.waiting import until

if TYPE_CHECKING:
    from datetime import date

    from tests.support.day.cast import Day
    from tests.support.service import Person, Reply

#: When clocks go forward in Berlin, next year.
CHANGE = sunday(datetime.now(UTC).year + 1, 3, -1)
#: Each scene has a day of its own, so that none changes what another counts.
SLOTS_ON = CHANGE - timedelta(days=40)
COUNTED_ON = CHANGE - timedelta(days=30)
REPEATED_ON = CHANGE - timedelta(days=20)


async def book(
    client: Person, day: date, start: str, end: str, *, key: str | None = None, **more: Any
) -> Reply:
    body = {"method": "chat", "date": day.isoformat(), "startTime": start, "endTime": end, **more}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.call("POST", "/counselings/book", json=body, headers=headers)


async def hours_and_slots(day: Day) -> None:
    """Ayu works on one morning a week. Her slots are what can be booked, and nothing else is."""
    ayu, (early, late, third) = day["Ayu"], day.guests(3)
    her, other = str(ayu.id), str(day["Lestari"].id)
    path = f"/psychologists/{her}"
    said = {
        "timezone": "Asia/Jakarta",
        "weekly": [{"weekday": SLOTS_ON.isoweekday(), "startTime": "09:00", "endTime": "12:00"}],
        "exceptions": [{"date": COUNTED_ON.isoformat(), "isAvailable": False}],
    }
    assert_refused(await early.put(f"{path}/availability", said), 403, "FORBIDDEN")
    assert (await ayu.put(f"{path}/availability", said)).status == 200

    async def slots() -> dict[str, int]:
        found = (await early.get(f"{path}/slots", date=SLOTS_ON, duration=60)).data
        return {one["startTime"]: one["free"] for one in found}

    assert await slots() == dict.fromkeys(("09:00", "09:30", "10:00", "10:30", "11:00"), 5)
    taken = await book(early, SLOTS_ON, "09:00", "10:00", psychologistId=her, notes="Pertama kali.")
    assert taken.status == 201, taken.json
    # Nine o'clock in Jakarta is two o'clock in UTC.
    assert instant(taken.data["scheduledAt"]) == datetime(*SLOTS_ON.timetuple()[:3], 2, tzinfo=UTC)
    assert await slots() == {"09:00": 4, "09:30": 4, "10:00": 5, "10:30": 5, "11:00": 5}

    overlapping = await book(early, SLOTS_ON, "09:30", "10:30", psychologistId=other)
    assert_refused(overlapping, 409, "CLIENT_LIMIT")
    outside = await book(late, SLOTS_ON, "11:30", "12:30", psychologistId=her)
    assert_refused(outside, 409, "NO_PSYCHOLOGIST")
    assert (await book(late, SLOTS_ON, "11:00", "12:00", psychologistId=her)).status == 201
    # What touches does not overlap.
    assert (await book(late, SLOTS_ON, "10:00", "11:00", psychologistId=her, method="offline")).status == 201
    assert_refused(await book(third, SLOTS_ON, "09:30", "09:30", psychologistId=her), 400)
    assert await slots() == {"09:00": 4, "09:30": 4, "10:00": 4, "10:30": 4, "11:00": 4}


async def the_least_busy(day: Day) -> None:
    """Who names no psychologist gets the one who has least on that day, of those who work."""
    guests = day.guests(6)
    working = {str(one.id) for name, one in day.psychologists.items() if name != "Ayu"}
    # She has said so before; until she has, she could be chosen.
    path = f"/psychologists/{day['Ayu'].id}/availability"

    async def ayu_is_off() -> bool:
        return bool((await guests[0].get(path)).data["exceptions"])

    await until(ayu_is_off)
    booked = []
    for number, guest in enumerate(guests[:5]):
        reply = await book(guest, COUNTED_ON, f"{8 + number:02}:00", f"{8 + number:02}:45")
        assert reply.status == 201, reply.json
        booked.append(reply.data)
    assert Counter(one["psychologist"]["id"] for one in booked) == dict.fromkeys(working, 1)
    # A place that becomes free is the least busy one.
    freed = booked[3]
    reply = await guests[3].put(f"/counselings/{freed['id']}/cancel", {"reason": "Saya sakit."})
    assert reply.data["status"] == reply.data["chatSession"]["status"] == "cancelled"
    reply = await book(guests[5], COUNTED_ON, "15:00", "15:45")
    assert reply.data["psychologist"] == freed["psychologist"]
    assert_refused(await guests[5].get(f"/counselings/{booked[0]['id']}"), 403, "FORBIDDEN")
    admins = await day.admin.put(f"/counselings/{booked[0]['id']}/cancel", {})
    assert admins.data["status"] == "cancelled"


async def asked_twice(day: Day) -> None:
    """A booking is sent again and again under one key: it is one booking."""
    client = day.guest()

    async def ask(end: str = "10:00") -> Reply:
        return await book(client, REPEATED_ON, "09:00", end, key="pesanan-1")

    # Of those sent at the same time one is carried out; the others are to wait, or hear the same.
    together = await asyncio.gather(*(ask() for _ in range(4)))
    first = next(reply.data for reply in together if reply.status == 201)
    for reply in together:
        assert reply.status == 201 or reply.code == "IDEMPOTENCY_IN_FLIGHT", reply.json
    again = await ask()
    assert (again.status, again.data, again.headers["Idempotency-Replayed"]) == (201, first, "true")
    assert_refused(await ask("10:30"), 422, "IDEMPOTENCY_MISMATCH")
    own = (await client.get("/counselings")).data["data"]
    assert [one["id"] for one in own] == [first["id"]]


async def over_the_change_of_clocks(day: Day) -> None:
    """A counselling in Berlin is moved into summer time: the clock shows the same, UTC does not."""
    client = day.guest()
    before, after = CHANGE - timedelta(days=2), CHANGE + timedelta(days=1)
    dewi = str(day["Dewi"].id)
    booked = (
        await book(client, before, "10:00", "11:00", timezone="Europe/Berlin", psychologistId=dewi)
    ).data
    assert instant(booked["scheduledAt"]) == datetime(*before.timetuple()[:3], 9, tzinfo=UTC)
    session_id = booked["chatSession"]["sessionId"]
    path = f"/counselings/{booked['id']}"
    wish = {"date": after.isoformat(), "startTime": "10:00", "endTime": "11:00"}
    stranger = await day["Rini"].put(f"{path}/reschedule", wish)
    assert_refused(stranger, 403, "FORBIDDEN")
    # Half past two does not exist on the day of the change.
    hole = {"date": CHANGE.isoformat(), "startTime": "02:30", "endTime": "03:30"}
    assert_refused(await client.put(f"{path}/reschedule", hole), 400, "VALIDATION_FAILED")

    moved = (await client.put(f"{path}/reschedule", wish)).data
    assert [moved[name] for name in ("date", "startTime", "endTime", "timezone")] == [
        *(wish[name] for name in ("date", "startTime", "endTime")),
        "Europe/Berlin",
    ]
    assert instant(moved["scheduledAt"]) == datetime(*after.timetuple()[:3], 8, tzinfo=UTC)
    session = await client.session(session_id)
    assert (session["status"], session["scheduledAt"]) == ("pending", moved["scheduledAt"])
    due = {one["kind"]: instant(one["dueAt"]) for one in session["automations"]}
    assert due["enable_chat"] == instant(moved["scheduledAt"])
    assert due["auto_end"] == instant(moved["endsAt"]) == due["enable_chat"] + timedelta(hours=1)
    # Where it was, there is room again.
    assert (
        await book(client, before, "10:00", "11:00", timezone="Europe/Berlin", method="online")
    ).status == 201
    back = wish | {"date": before.isoformat()}
    assert_refused(await client.put(f"{path}/reschedule", back), 409, "CLIENT_LIMIT")
    phone = await day.phone(day["Dewi"], session_id)
    await phone.hears("rescheduled")
    await phone.is_told("session_rescheduled", session_id)


SCENES = (hours_and_slots, the_least_busy, asked_twice, over_the_change_of_clocks)
