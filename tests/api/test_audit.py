"""The audit over HTTP: what is written of a session's life, who may look, and what those who do not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from rdchat.domain.person import Role
from tests.support.auditing import assert_audit_holds
from tests.support.console import fail_automation, pages
from tests.support.envelope import assert_refused
from tests.support.sessions import opened, reaches
from tests.support.soon import in_days

if TYPE_CHECKING:
    from tests.support.service import Person, Service

HOUR = timedelta(hours=1)
WORDS = "kanari di dalam pesan"


def administrator(service: Service) -> Person:
    return service.person(Role.SUPER_ADMIN, "Rina Hartono")


async def entries(admin: Person, **wanted: Any) -> list[dict[str, Any]]:
    """List them, oldest first."""
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    return (await pages(admin, f"/audit?{query}" if query else "/audit", 100))[::-1]


async def test_a_sessions_life_is_written_down_without_a_word_of_it(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    admin = administrator(service)
    await client.say(session_id, WORDS)
    await client.get("/chat/ably-token", sessionId=session_id)
    await psychologist.history(session_id)
    await client.call("GET", f"/chat/sessions/{session_id}/transcript?format=txt")
    await client.put(f"/chat/sessions/{session_id}/end")
    await reaches(client, session_id, "completed")
    found = await entries(admin, sessionId=session_id)
    names = {str(client.id): "client", str(psychologist.id): "psychologist", None: None}
    seen = [(one["kind"], one["action"], one["outcome"], names[one["actorId"]]) for one in found]
    states = [one for one in seen if one[0] == "state_changed"]
    assert [one[1:3] for one in states] == [
        ("book", "pending"),
        ("initial_message", "pending"),
        ("enable_chat", "active"),
        ("end", "completed"),
    ]
    assert [one[3] for one in states] == ["client", None, None, "client"]
    assert ("token_issued", "session", "done", "client") in seen
    assert ("content_read", "history", "done", "psychologist") in seen
    assert ("content_read", "transcript", "done", "client") in seen
    assert WORDS not in str(found)
    await assert_audit_holds(service)


async def test_both_see_who_has_opened_their_chat(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    await client.history(session_id)
    await psychologist.history(session_id)
    path = f"/chat/sessions/{session_id}/access"
    for person in (client, psychologist):
        shown = (await person.get(path)).data["data"]
        assert [(one["action"], one["person"]["id"]) for one in shown] == [
            ("history", str(psychologist.id)),
            ("history", str(client.id)),
        ]
        assert all(one["person"]["fullName"] for one in shown)
    assert_refused(await service.person().get(path), 403, "NOT_PARTICIPANT")
    assert_refused(await administrator(service).get(path), 403, "NOT_PARTICIPANT")
    assert_refused(await client.get(f"/chat/sessions/{uuid4()}/access"), 404, "SESSION_NOT_FOUND")


async def test_who_is_refused_is_written_down_once_for_many_times(service: Service) -> None:
    _, _, session_id = await opened(service)
    admin, stranger = administrator(service), service.person()
    for _ in range(3):
        refused = await stranger.get("/chat/history", sessionId=session_id)
        assert_refused(refused, 403, "NOT_PARTICIPANT")
        await stranger.call("GET", "/audit", headers={"Authorization": "Bearer none"})
    await service.runtime.audit.write_refusals()
    [access] = await entries(admin, kind="access_refused")
    assert (access["actorId"], access["subjectId"]) == (str(stranger.id), session_id)
    assert (access["outcome"], access["occurrences"]) == ("NOT_PARTICIPANT", 3)
    assert access["action"] == "GET /api/v1/chat/history"
    [sign_in] = await entries(admin, kind="sign_in_refused")
    assert (sign_in["actorId"], sign_in["outcome"]) == (None, "UNAUTHENTICATED")
    assert sign_in["occurrences"] == 3
    await assert_audit_holds(service)


async def test_what_an_administrator_does_is_written_down_with_the_reason(service: Service) -> None:
    await service.psychologist()
    admin = administrator(service)
    session_id = await service.person().book_session(in_days(30), in_days(30) + HOUR)
    await fail_automation(service, session_id, "enable_chat")
    reason = "Diminta klinik, lihat surat 17: 😊"
    await admin.call(
        "POST",
        "/operations/dead-letters/retry",
        json={"subjectId": session_id, "kind": "enable_chat"},
        headers={"Audit-Reason": quote(reason)},
    )
    person_id = str(uuid4())
    await admin.call(
        "PUT", f"/people/{person_id}", json={"isActive": False}, headers={"Audit-Reason": "left"}
    )
    found = await entries(admin, kind="administration")
    shown = [
        (one["action"], one["subjectId"], one["outcome"], (one["detail"] or {}).get("reason"))
        for one in found
        if one["action"] in ("retry_dead_letter", "save_person")
    ]
    assert shown == [
        ("retry_dead_letter", session_id, "done", reason),
        ("save_person", person_id, "begun", "left"),
        ("save_person", person_id, "done", "left"),
    ]
    assert found[-1]["actorId"] == str(admin.id)
    assert_refused(
        await admin.call(
            "PUT", f"/people/{person_id}", json={"isActive": True}, headers={"Audit-Reason": "x" * 501}
        ),
        400,
        "VALIDATION_FAILED",
    )
    await assert_audit_holds(service)


async def test_notes_about_a_client_are_nothing_that_others_see(service: Service) -> None:
    client, psychologist, _ = await opened(service)
    admin = administrator(service)
    path = f"/clients/{client.id}/notes"
    # Of what is not there, nothing was read.
    await psychologist.get(path)
    await psychologist.put(path, {"text": WORDS})
    await psychologist.get(path)
    [read] = await entries(admin, kind="content_read", personId=client.id)
    assert (read["action"], read["actorId"]) == ("client_notes", str(psychologist.id))
    assert read["sessionId"] is None
    assert WORDS not in str(read)


async def test_counselings_without_a_chat_are_written_down_as_well(service: Service) -> None:
    await service.psychologist()
    admin, client = administrator(service), service.person()
    booked = await client.book(in_days(30), in_days(30) + HOUR, method="offline")
    counseling_id = booked.data["id"]
    later = {"startsAt": (in_days(31)).isoformat(), "endsAt": (in_days(31) + HOUR).isoformat()}
    assert (await client.put(f"/counselings/{counseling_id}/reschedule", later)).status == 200
    colleague = await service.psychologist("Ayu")
    path = f"/counselings/{counseling_id}/reassign"
    assert (await admin.put(path, {"psychologistId": str(colleague.id)})).status == 200
    assert (await client.put(f"/counselings/{counseling_id}/cancel", {})).status == 200
    # Again: nothing happens, and nothing is written.
    assert (await client.put(f"/counselings/{counseling_id}/cancel", {})).status == 200
    found = [
        (one["action"], one["outcome"], one["actorId"])
        for one in await entries(admin, kind="state_changed")
        if one["subjectId"] == counseling_id
    ]
    assert found == [
        ("book", "pending", str(client.id)),
        ("reschedule", "pending", str(client.id)),
        ("reassign", "pending", str(admin.id)),
        ("cancel", "cancelled", str(client.id)),
    ]
