"""What operators change is written down: who, what, by which request, and what became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.common.stores import Addresses
from rdchat.domain.operator_action import ActionKind
from rdchat.domain.person import Role
from rdchat.operations import administration
from rdchat.postgres import automations, operator_actions
from statemachine import AutomationKind
from tests.support.console import QUOTED, dead_webhook, fail_automation, pages
from tests.support.envelope import assert_refused
from tests.support.sessions import INSTANT
from tests.support.soon import in_days

if TYPE_CHECKING:
    from tests.support.service import Person, Service

ACTIONS = "/operations/actions"
LETTERS = "/operations/dead-letters"
HOUR = timedelta(hours=1)


def administrator(service: Service) -> Person:
    return service.person(Role.SUPER_ADMIN, "Rina Hartono")


async def actions(person: Person) -> list[dict[str, Any]]:
    """List them, oldest first."""
    return (await pages(person, ACTIONS, 100))[::-1]


def short(action: dict[str, Any]) -> tuple[Any, ...]:
    return action["action"], action["subject"]["id"], action["detail"], action["outcome"]


async def dead(service: Service, *kinds: str) -> str:
    session_id = await service.person().book_session(in_days(30), in_days(30) + HOUR)
    for kind in kinds:
        await fail_automation(service, session_id, kind)
    return session_id


async def test_changes_of_dead_letters_are_written_down(service: Service) -> None:
    await service.psychologist()
    admin = administrator(service)
    start = len(await actions(admin))
    session_id = await dead(service, "enable_chat", "end_warning")
    delivery_id = await dead_webhook(service)
    retry = {"subjectId": session_id, "kind": "enable_chat"}
    headers = {"X-Request-Id": "console-17"}
    await admin.call("POST", f"{LETTERS}/retry", json=retry, headers=headers)
    await admin.call("POST", f"{LETTERS}/retry", json=retry)
    await admin.post(f"{LETTERS}/drop", {"subjectId": session_id, "kind": "end_warning"})
    await admin.post("/operations/dead-webhooks/retry", {"ids": [delivery_id]})
    listed = (await actions(admin))[start:]
    # That which changed nothing is none.
    assert [short(one) for one in listed] == [
        ("retry_dead_letter", session_id, "enable_chat", "done"),
        ("drop_automation", session_id, "end_warning", "done"),
        ("retry_webhook", delivery_id, "session_completed", "done"),
    ]
    assert [one["subject"]["type"] for one in listed] == ["session", "session", "webhook"]
    first = listed[0]
    assert first["requestId"] == "console-17"
    assert first["actor"] == {"id": str(admin.id), "fullName": "Rina Hartono"}
    assert INSTANT.fullmatch(first["at"])
    assert QUOTED not in str(listed)


async def test_a_change_that_cannot_be_written_down_is_not_made(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the other way round: both are in one transaction."""
    await service.psychologist()
    admin = administrator(service)
    session_id = await dead(service, "enable_chat")

    async def fail(*_: object, **__: object) -> None:
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(operator_actions, "insert_actions", fail)
    for action in ("retry", "drop"):
        said = {"subjectId": session_id, "kind": "enable_chat"}
        assert_refused(await admin.post(f"{LETTERS}/{action}", said), 503, "UNAVAILABLE")
    assert len(await automations.list_dead_letters(service.runtime.pool)) == 1
    assert (await admin.put(f"/psychologists/{uuid4()}", {"fullName": "Sari"})).status == 503
    assert len((await admin.get("/psychologists")).data["data"]) == 1


async def test_the_command_line_is_written_down_as_well(
    service: Service, database_url: str, redis_url: str
) -> None:
    await service.psychologist()
    admin = administrator(service)
    start = len(await actions(admin))
    addresses = Addresses(database_url, redis_url, embedded=False)
    session_id = await dead(service, "enable_chat")
    await administration.retry_dead_letters(service.runtime.settings, addresses, UUID(session_id))
    await administration.drop_automation(
        service.runtime.settings, addresses, UUID(session_id), AutomationKind.END_WARNING
    )
    listed = (await actions(admin))[start:]
    assert [short(one) for one in listed] == [
        ("retry_dead_letter", session_id, "enable_chat", "done"),
        ("drop_automation", session_id, "end_warning", "done"),
    ]
    assert {(one["actor"], one["requestId"]) for one in listed} == {(None, None)}


async def test_what_administrators_change_of_others_is_written_down(service: Service) -> None:
    sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
    admin = administrator(service)
    start = len(await actions(admin))
    booked = (await service.person().book(in_days(30), in_days(30) + HOUR, psychologistId=str(sari.id))).data
    counseling = f"/counselings/{booked['id']}"
    wish = {"date": f"{in_days(31):%Y-%m-%d}", "startTime": "10:00", "endTime": "11:00", "timezone": "UTC"}
    await admin.put(f"{counseling}/reschedule", wish)
    await admin.put(f"{counseling}/reassign", {"psychologistId": str(rina.id)})
    await admin.put(f"{counseling}/reassign", {"psychologistId": str(uuid4())})
    await admin.put(f"{counseling}/cancel", {"reason": QUOTED})
    await admin.put(f"/psychologists/{sari.id}", {"isActive": False})
    await admin.put(f"/psychologists/{sari.id}/availability", {"weekly": []})
    listed = (await actions(admin))[start:]
    assert [short(one) for one in listed] == [
        ("reschedule_counseling", booked["id"], None, "done"),
        ("reassign_counseling", booked["id"], None, "done"),
        ("reassign_counseling", booked["id"], None, "VALIDATION_FAILED"),
        ("cancel_counseling", booked["id"], None, "done"),
        ("save_psychologist", str(sari.id), None, "done"),
        ("save_availability", str(sari.id), None, "done"),
    ]
    assert QUOTED not in str(listed)
    assert {one["action"] for one in await actions(admin)} <= set(ActionKind)


async def test_of_supervisors_it_is_written_down_of_all_others_it_is_not(service: Service) -> None:
    sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
    admin = administrator(service)
    organization = uuid4()
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
    start = len(await actions(admin))
    client = service.person(organization_id=organization)
    booked = (await client.book(in_days(30), in_days(30) + HOUR, psychologistId=str(sari.id))).data
    path = f"/counselings/{booked['id']}"
    given = await supervisor.put(f"{path}/reassign", {"psychologistId": str(rina.id)})
    assert given.status == 200, given.json
    assert (await rina.put(f"{path}/reassign", {"psychologistId": str(sari.id)})).status == 200
    assert (await sari.put(f"/psychologists/{sari.id}/availability", {"weekly": []})).status == 200
    assert (await client.put(f"{path}/cancel")).status == 200
    (only,) = (await actions(admin))[start:]
    assert (only["action"], only["actor"]["id"]) == ("reassign_counseling", str(supervisor.id))


async def test_what_fails_is_not_left_open(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.psychologist()
    admin = administrator(service)
    start = len(await actions(admin))

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("never before")

    monkeypatch.setattr(type(service.runtime.psychologists), "save_psychologist", fail)
    person_id = uuid4()
    assert (await admin.put(f"/psychologists/{person_id}", {"fullName": "Sari"})).status == 500
    assert [short(one) for one in (await actions(admin))[start:]] == [
        ("save_psychologist", str(person_id), None, "INTERNAL")
    ]


async def test_what_became_of_it_may_stay_unknown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the process dies, or PostgreSQL does: that it was begun is known."""
    admin = administrator(service)

    async def fail(*_: object, **__: object) -> None:
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(operator_actions, "settle_action", fail)
    person_id = uuid4()
    assert (await admin.put(f"/psychologists/{person_id}", {"fullName": "Sari"})).status == 201
    assert [short(one) for one in await actions(admin)] == [
        ("save_psychologist", str(person_id), None, "begun")
    ]


async def test_they_are_listed_page_by_page_latest_first(service: Service) -> None:
    await service.psychologist()
    admin = administrator(service)
    made = [await dead_webhook(service) for _ in range(5)]
    # In one statement, so at one instant; and two more.
    await admin.post("/operations/dead-webhooks/retry", {"ids": made[:3]})
    for one in made[3:]:
        await admin.post("/operations/dead-webhooks/retry", {"ids": [one]})
    for limit in (1, 2, 100):
        listed = [one["subject"]["id"] for one in await pages(admin, ACTIONS, limit)]
        assert listed[:2] == made[:2:-1]
        assert sorted(listed[2:5]) == sorted(made[:3])
        # The psychologist, first of all.
        assert len(listed) == len(made) + 1
    assert_refused(await admin.get(ACTIONS, cursor="x"), 400, "VALIDATION_FAILED")


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SUPER_ADMIN}))
async def test_no_one_else_sees_them(service: Service, role: Role) -> None:
    assert_refused(await service.person(role, organization_id=uuid4()).get(ACTIONS), 403, "FORBIDDEN")
