"""Calendars: when one has something, by a link that can be replaced and revoked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from rdchat.common.clock import iso
from rdchat.domain.person import Role
from tests.support.calendars import calendar_link, event_of, events_in, open_calendar
from tests.support.envelope import assert_refused
from tests.support.sessions import reaches
from tests.support.soon import in_days, second_ahead

if TYPE_CHECKING:
    from tests.support.service import Person, Service

HOUR = timedelta(hours=1)
PRIVATE = ("Budi", "Sari", "konseling", "counsel", "chat", "offline", "Sulit tidur", "Sakit", "@example")


async def book(person: Person, starts_at: datetime, method: str = "chat") -> dict[str, Any]:
    body = {
        "method": method,
        "startsAt": iso(starts_at),
        "endsAt": iso(starts_at + HOUR),
        "notes": "Sulit tidur",
    }
    reply = await person.post("/counselings/book", body)
    assert reply.status == 201, reply.json
    booked: dict[str, Any] = reply.data
    return booked


@pytest.mark.parametrize("method", ["chat", "offline"])
async def test_it_shows_what_happened_to_a_counselling_from_booking_on(service: Service, method: str) -> None:
    psychologist = await service.psychologist(timezone="Asia/Makassar")
    client = service.person()
    start, later = in_days(20), in_days(21)
    booked = await book(client, start, method)
    urls = [await calendar_link(person) for person in (client, psychologist)]

    async def shown() -> list[Any]:
        texts = [(await open_calendar(service, url)).json for url in urls]
        for text in texts:
            assert not [one for one in PRIVATE if one.lower() in text.lower()], text
        first, second = map(events_in, texts)
        assert first == second, "both see the same"
        return first

    assert events_in(booked["ics"]) == await shown() == [event_of(booked, 0)]
    path = f"/counselings/{booked['id']}"
    wish = {"startsAt": iso(later), "endsAt": iso(later + HOUR)}
    assert (await psychologist.put(f"{path}/reschedule", wish)).status == 200
    moved = event_of(booked, 1, starts=later, ends=later + HOUR)
    assert await shown() == [moved]
    for person in (client, psychologist):
        assert events_in((await person.get(path)).data["ics"]) == [moved]
    assert (await psychologist.put(f"{path}/reschedule", wish)).status == 200, "nothing happens"
    assert await shown() == [moved]
    assert (await client.put(f"{path}/cancel", {"reason": "Sakit"})).status == 200
    gone = moved | {"SEQUENCE": "2", "STATUS": "CANCELLED"}
    assert await shown() == [gone]
    assert (await client.put(f"{path}/cancel")).status == 200
    assert await shown() == [gone]


@pytest.mark.wall_time
async def test_what_was_held_stays_where_it_was_and_an_extension_is_shown(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    start = second_ahead(2)
    booked = await book(client, start)
    session_id = booked["chatSession"]["sessionId"]
    await reaches(client, session_id, "active")
    url = await calendar_link(client)
    assert (await psychologist.put(f"/chat/sessions/{session_id}/extend", {"minutes": 1})).status == 200
    longer = event_of(booked, 1, starts=start, ends=start + HOUR + timedelta(minutes=1))
    assert events_in((await open_calendar(service, url)).json) == [longer]
    assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    assert events_in((await open_calendar(service, url)).json) == [longer], "over, and not cancelled"


async def test_it_has_all_that_is_ones_own_in_order_and_nothing_else(service: Service) -> None:
    psychologist = await service.psychologist()
    client, other = service.person(), service.person()
    mine = [await book(client, in_days(20 + number)) for number in range(3)]
    await book(other, in_days(20))
    await service.runtime.pool.execute(
        "UPDATE counselings SET starts_at = now() - interval '31 days', ends_at = now() - interval '30 days' "
        "WHERE id = $1",
        UUID(mine[0]["id"]),
    )
    shown = events_in((await open_calendar(service, await calendar_link(client))).json)
    assert [one["UID"] for one in shown] == [one["id"] for one in mine[1:]]
    assert len(events_in((await open_calendar(service, await calendar_link(psychologist))).json)) == 3
    assert (
        events_in((await open_calendar(service, await calendar_link(service.person(Role.SUPER_ADMIN)))).json)
        == []
    )


async def test_it_is_asked_for_again_and_sent_again_only_when_it_has_changed(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    booked = await book(client, in_days(20))
    url = await calendar_link(client)
    first = await open_calendar(service, url)
    assert (first.status, first.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert first.headers["Cache-Control"] == "private, no-cache"
    etag = first.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}'):
        again = await open_calendar(service, url, **{"If-None-Match": known})
        assert (again.status, again.json, again.headers["ETag"]) == (304, "", etag)
    for known in ('"x"', "x", ""):
        assert (await open_calendar(service, url, **{"If-None-Match": known})).status == 200
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    changed = await open_calendar(service, url, **{"If-None-Match": etag})
    assert (changed.status, changed.headers["ETag"] == etag) == (200, False)


async def test_a_link_is_replaced_and_revoked(service: Service) -> None:
    client, other = service.person(), service.person()
    first, theirs = await calendar_link(client), await calendar_link(other)
    assert (await open_calendar(service, first)).status == 200
    second = await calendar_link(client)
    assert second != first
    assert_refused(await open_calendar(service, first), 403, "FORBIDDEN")
    assert (await open_calendar(service, second)).status == 200
    revoked = await client.call("DELETE", "/calendar")
    assert (revoked.status, revoked.data) == (200, {"revoked": True})
    assert (await client.call("DELETE", "/calendar")).data == {"revoked": False}
    assert_refused(await open_calendar(service, second), 403, "FORBIDDEN")
    assert (await open_calendar(service, theirs)).status == 200, "another's is still open"


async def test_whoever_uses_a_link_sees_its_owners_calendar_and_no_other(service: Service) -> None:
    await service.psychologist()
    client, other, admin = service.person(), service.person(), service.person(Role.SUPER_ADMIN)
    booked, theirs = await book(client, in_days(20)), await book(other, in_days(21))
    url = await calendar_link(client)
    for person in (client, other, admin):
        signed_in = {"Authorization": f"Bearer {person.token}"}
        assert events_in((await open_calendar(service, url, **signed_in)).json) == [event_of(booked, 0)]
        # Its secret opens nothing but the calendar, and no one's token opens that without it.
        bare = await open_calendar(service, url.partition("?")[0], **signed_in)
        assert_refused(bare, 400, "VALIDATION_FAILED")
    secret = {"Authorization": f"Bearer {url.rpartition('=')[2]}"}
    assert_refused(await other.call("GET", "/counselings", headers=secret), 401, "UNAUTHENTICATED")
    # What others revoke is theirs alone.
    assert (await other.call("DELETE", "/calendar")).data == {"revoked": False}
    assert (await open_calendar(service, url)).status == 200
    assert events_in((await open_calendar(service, await calendar_link(other))).json) == [event_of(theirs, 0)]


async def test_what_was_not_given_opens_nothing(service: Service) -> None:
    client = service.person()
    url = await calendar_link(client)
    assert url.startswith(f"{service.base}/api/v1/calendar.ics?token=")
    token = url.rpartition("=")[2]
    base = url.partition("?")[0]
    stored = await service.runtime.pool.fetchval("SELECT secret_hash FROM calendar_links")
    for guess in (token[:-1], token + "x", token.swapcase(), str(client.id), stored.hex(), client.token, "x"):
        reply = await open_calendar(service, f"{base}?token={guess[:200]}")
        assert_refused(reply, 403, "FORBIDDEN")
    for query in ("", "?token=", f"?token={token}&token={token}", f"?token={'x' * 201}"):
        assert_refused(await open_calendar(service, base + query), 400, "VALIDATION_FAILED")
    # What calendar programs add to a link means nothing.
    assert (await open_calendar(service, f"{url}&utm_source=calendar&x=1")).status == 200
    # The secret itself is stored nowhere.
    rows = await service.runtime.pool.fetch("SELECT l::text AS row FROM calendar_links l")
    assert all(token not in row["row"] for row in rows)


async def test_it_speaks_the_language_of_its_owner(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    booked = await book(client, in_days(20))
    assert "SUMMARY:Janji temu" in booked["ics"]
    url = await calendar_link(client)
    await service.runtime.pool.execute("UPDATE people SET locale = 'en' WHERE id = $1", client.id)
    assert "SUMMARY:Appointment" in (await open_calendar(service, url)).json
