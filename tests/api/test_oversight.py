"""What supervisors and administrators are shown: how counsellings stand, of whom they may, and no content."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from tests.support.envelope import assert_refused
from tests.support.sessions import reaches
from tests.support.soon import book_soon, in_days

if TYPE_CHECKING:
    from tests.support.service import Person, Service

HOUR = timedelta(hours=1)
NOTE, REASON, TEXT = "Sudah dua minggu sulit tidur", "Ibu saya sakit", "Hanya untuk kita"


async def listed(person: Person, path: str = "/counselings", **asked: Any) -> list[str]:
    """List ids, of counsellings also where the list is one of sessions."""
    found = (await person.get(path, **asked)).data["data"]
    return [one.get("counselingId", one["id"]) for one in found]


async def refuses(person: Person, path: str, **asked: Any) -> None:
    assert_refused(await person.get(path, **asked), 403, "FORBIDDEN")


async def test_each_sees_the_counsellings_of_those_they_oversee(service: Service) -> None:
    psychologist = await service.psychologist()
    ours, theirs = uuid4(), uuid4()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=ours)
    of_none = service.person(Role.SUPERVISOR, "Penyelia")
    booked: dict[UUID | None, list[str]] = {}
    members: dict[UUID | None, Person] = {}
    for number, organization in enumerate((ours, theirs, None)):
        client = members[organization] = service.person(organization_id=organization)
        for method in ("chat", "online"):
            start = in_days(30 + number + 10 * (method == "chat"))
            counseling = (await client.book(start, start + HOUR, method=method)).data["id"]
            booked.setdefault(organization, []).append(counseling)
    everything = [one for of in booked.values() for one in of]
    assert sorted(await listed(admin)) == sorted(everything)
    for organization in (ours, theirs):
        assert sorted(await listed(admin, organizationId=organization)) == sorted(booked[organization])
    asks: list[dict[str, Any]] = [{}, {"organizationId": ours}]
    for asked in asks:
        assert sorted(await listed(supervisor, **asked)) == sorted(booked[ours])
        assert await listed(supervisor, "/chat/sessions", **asked) == booked[ours][:1]
    assert sorted(await listed(admin, "/chat/sessions")) == sorted(of[0] for of in booked.values())
    # Whatever else it is narrowed to.
    assert sorted(await listed(supervisor, psychologistId=psychologist.id)) == sorted(booked[ours])
    assert await listed(supervisor, "/chat/sessions", psychologistId=psychologist.id) == booked[ours][:1]
    assert await listed(supervisor, clientId=members[theirs].id) == []
    assert len(await listed(admin, clientId=members[theirs].id)) == 2
    for path in ("/counselings", "/chat/sessions"):
        await refuses(supervisor, path, organizationId=theirs)
        await refuses(of_none, path, organizationId=ours)
        assert await listed(of_none, path) == []
    for organization, of in booked.items():
        for counseling in of:
            expected = 200 if organization == ours else 403
            assert (await supervisor.get(f"/counselings/{counseling}")).status == expected
            assert (await of_none.get(f"/counselings/{counseling}")).status == 403


async def test_whose_member_the_client_was_when_they_booked_counts(service: Service) -> None:
    """One who changes to another employer takes nothing along, and leaves nothing new behind."""
    await service.psychologist()
    ours, theirs = uuid4(), uuid4()
    before = service.person(organization_id=ours)
    first = (await before.book(in_days(30), in_days(30) + HOUR, method="offline")).data["id"]
    after = service.person(person_id=before.id, organization_id=theirs)
    second = (await after.book(in_days(31), in_days(31) + HOUR, method="offline")).data["id"]
    for organization, expected in ((ours, first), (theirs, second)):
        supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
        assert await listed(supervisor) == [expected]


async def test_lists_are_narrowed_and_paged_alike(service: Service) -> None:
    sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    clients = [service.person() for _ in range(2)]
    expected = []
    for day in (33, 31, 32):
        for client in clients:
            for who in (sari, rina):
                start = in_days(day) + HOUR * 2 * (who is rina)
                counseling = (await client.book(start, start + HOUR, psychologistId=str(who.id))).data
                expected.append((start, counseling["id"], client, who))
    expected.sort(key=lambda one: one[:2], reverse=True)
    for path in ("/counselings", "/chat/sessions"):
        assert await listed(admin, path) == [one[1] for one in expected]
        for limit in (1, 5, 12, 13):
            seen: list[str] = []
            more: dict[str, Any] = {}
            while more.get("cursor", "") is not None:
                data = (await admin.get(path, limit=limit, psychologistId=sari.id, **more)).data
                seen += [one.get("counselingId", one["id"]) for one in data["data"]]
                more = {"cursor": data["nextCursor"]}
            assert seen == [one[1] for one in expected if one[3] is sari], (path, limit)
        noon = f"{in_days(32):%Y-%m-%d}"
        narrowed = await listed(admin, path, clientId=clients[0].id, **{"from": noon, "to": noon})
        assert narrowed == [
            one[1] for one in expected if one[2] is clients[0] and one[0].date() == in_days(32).date()
        ]
        assert await listed(admin, path, clientId=uuid4()) == []
    # One's own are narrowed in the same way, where that means something.
    assert await listed(sari, clientId=clients[1].id) == [
        one[1] for one in expected if one[2] is clients[1] and one[3] is sari
    ]
    for field, value in (("clientId", clients[1].id), ("from", "2030-01-01"), ("organizationId", uuid4())):
        refused = await sari.get("/chat/sessions", **{field: value})
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {field}


@pytest.mark.wall_time
async def test_every_state_is_found(service: Service) -> None:
    await service.psychologist()
    organization = uuid4()
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
    found: dict[str, list[str]] = {}

    async def book(status: str, starts_in: float = 3600, **more: Any) -> tuple[Person, dict[str, Any]]:
        client = service.person(organization_id=organization)
        counseling = (await book_soon(client, starts_in, 60, **more)).data
        found.setdefault(status, []).append(counseling["id"])
        return client, counseling

    await book("pending")
    await book("pending", method="online")
    for status in ("active", "completed"):
        client, counseling = await book(status, 0.5)
        await reaches(client, counseling["chatSession"]["sessionId"], "active")
        if status == "completed":
            await client.put(f"/chat/sessions/{counseling['chatSession']['sessionId']}/end")
    for method in ("chat", "offline"):
        client, counseling = await book("cancelled", method=method)
        await client.put(f"/counselings/{counseling['id']}/cancel")
    for status, expected in found.items():
        assert sorted(await listed(supervisor, status=status)) == sorted(expected)
        sessions = await listed(supervisor, "/chat/sessions", status=status)
        assert len(sessions) == 1
        assert set(sessions) <= set(expected)
    assert await listed(supervisor, "/chat/sessions", status="ending_soon") == []


@pytest.mark.wall_time
async def test_nothing_that_people_wrote_is_shown(service: Service) -> None:
    await service.psychologist("Dokter")
    organization = uuid4()
    client = service.person(organization_id=organization)
    called_off = (await client.book(in_days(30), in_days(30) + HOUR, notes=NOTE)).data
    await client.put(f"/counselings/{called_off['id']}/cancel", {"reason": REASON})
    opened = (await book_soon(client, 0.5, 60, notes=NOTE)).data
    session_id = opened["chatSession"]["sessionId"]
    await reaches(client, session_id, "active")
    assert (await client.say(session_id, TEXT)).status == 201
    assert NOTE in str((await client.get(f"/counselings/{opened['id']}")).json)
    for role in (Role.SUPER_ADMIN, Role.SUPERVISOR):
        overseer = service.person(role, "Penyelia", organization_id=organization)
        shown = [
            await overseer.get("/counselings"),
            await overseer.get("/chat/sessions"),
            *[await overseer.get(f"/counselings/{one['id']}") for one in (called_off, opened)],
            await overseer.get(f"/chat/sessions/{session_id}"),
            await overseer.get(f"/chat/sessions/{session_id}/timeline"),
            await overseer.get(f"/chat/sessions/{session_id}/diagram", format="json"),
        ]
        assert [one.status for one in shown] == [200] * len(shown)
        text = str([one.json for one in shown])
        assert not [one for one in (NOTE, REASON, TEXT) if one in text]
        for one in shown[1].data["data"]:
            assert not {"lastMessage", "unreadCount"} & one.keys()
        for one in shown[0].data["data"]:
            assert "notes" not in one
            assert one["cancelReason"] is None


async def test_a_supervisor_calls_off_and_moves_nothing(service: Service) -> None:
    await service.psychologist()
    organization = uuid4()
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
    client = service.person(organization_id=organization)
    for method in ("chat", "online"):
        counseling = (await client.book(in_days(30), in_days(30) + HOUR, method=method)).data
        path = f"/counselings/{counseling['id']}"
        assert_refused(await supervisor.put(f"{path}/cancel"), 403, "FORBIDDEN")
        times = {"date": f"{in_days(31):%Y-%m-%d}", "startTime": "12:00", "endTime": "13:00"}
        assert_refused(await supervisor.put(f"{path}/reschedule", times), 403, "FORBIDDEN")
        assert (await client.get(path)).data["status"] == "pending"
        assert (await client.put(f"{path}/cancel")).status == 200
