"""A psychologist's notes about a client: theirs alone, sealed, and never overwritten unseen."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import structlog

from rdchat.common.telemetry import configure_logging
from rdchat.domain.client_notes import LONGEST_NOTES
from rdchat.domain.person import Role
from rdchat.postgres.data_keys import DataKeyError
from tests.support.at_rest import plaintext_in_database
from tests.support.envelope import assert_refused
from tests.support.handing_over import hand_over
from tests.support.sessions import opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.service import Person, Reply, Service

PRIVATE_NOTE = "Catatan yang hanya milik saya"
HOUR = timedelta(hours=1)


async def book(client: Person, psychologist: Person, days: int = 20, method: str = "chat") -> dict[str, Any]:
    start = in_days(days)
    reply = await client.book(start, start + HOUR, method=method, psychologistId=str(psychologist.id))
    assert reply.status == 201, reply.json
    booking: dict[str, Any] = reply.data
    return booking


async def notes(person: Person, client: Person | UUID, **headers: str) -> Reply:
    client_id = getattr(client, "id", client)
    return await person.call("GET", f"/clients/{client_id}/notes", headers=headers)


async def note(person: Person, client: Person | UUID, text: Any, expected: str | None = None) -> Reply:
    client_id = getattr(client, "id", client)
    headers = {} if expected is None else {"If-Match": expected}
    return await person.call("PUT", f"/clients/{client_id}/notes", json={"text": text}, headers=headers)


async def a_pair(service: Service) -> tuple[Person, Person]:
    psychologist, client = await service.psychologist(), service.person()
    await book(client, psychologist)
    return psychologist, client


async def test_they_are_kept_changed_and_deleted(service: Service) -> None:
    psychologist, client = await a_pair(service)
    empty = await notes(psychologist, client)
    assert empty.data == {"clientId": str(client.id), "text": "", "updatedAt": None}
    saved = await note(psychologist, client, " Satu\n\U0001f60a ")
    assert saved.data == {
        "clientId": str(client.id),
        "text": " Satu\n\U0001f60a ",
        "updatedAt": saved.data["updatedAt"],
    }
    found = await notes(psychologist, client)
    assert (found.data, found.headers["ETag"]) == (saved.data, saved.headers["ETag"])
    assert found.headers["Cache-Control"] == "no-store"
    assert (await note(psychologist, client, saved.data["text"])).data == saved.data, "the same again"
    assert (await note(psychologist, client, "Dua")).data["updatedAt"] > saved.data["updatedAt"]
    for _ in range(2):
        gone = await note(psychologist, client, "")
        assert (gone.status, gone.data, gone.headers["ETag"]) == (200, empty.data, empty.headers["ETag"])
    assert await service.runtime.pool.fetchval("SELECT count(*) FROM client_notes") == 0


async def test_two_windows_do_not_overwrite_each_other(service: Service) -> None:
    psychologist, client = await a_pair(service)
    for before in ("", "Satu"):
        tag = (await note(psychologist, client, before)).headers["ETag"]
        texts = [f"{before} {number}" for number in range(8)]
        replies = await asyncio.gather(*(note(psychologist, client, text, tag) for text in texts))
        assert Counter(reply.status for reply in replies) == {200: 1, 412: 7}
        for reply in replies:
            if reply.status == 412:
                assert_refused(reply, 412, "PRECONDITION_FAILED")
        (won,) = (reply for reply in replies if reply.status == 200)
        assert (await notes(psychologist, client)).data == won.data
        # Who has looked again may go on.
        assert (await note(psychologist, client, "Lagi", won.headers["ETag"])).status == 200
        assert_refused(await note(psychologist, client, "", tag), 412, "PRECONDITION_FAILED")
        assert (await note(psychologist, client, "", "*")).status == 200


async def test_who_has_them_already_is_told_so(service: Service) -> None:
    psychologist, client = await a_pair(service)
    tag = (await note(psychologist, client, "Satu")).headers["ETag"]
    assert (await notes(psychologist, client, **{"If-None-Match": tag})).status == 304
    await note(psychologist, client, "Dua")
    assert (await notes(psychologist, client, **{"If-None-Match": tag})).data["text"] == "Dua"


async def test_how_long_they_may_be(service: Service) -> None:
    psychologist, client = await a_pair(service)
    longest = "\U0001f60a" * LONGEST_NOTES
    # Escaped by twelve bytes each, as some programs write JSON.
    assert (await note(psychologist, client, longest)).data["text"] == longest
    assert (await notes(psychologist, client)).data["text"] == longest
    for wrong in ("x" * (LONGEST_NOTES + 1), None, 1, ["x"], "a\x00b"):
        refused = await note(psychologist, client, wrong)
        assert_refused(refused, 400, "VALIDATION_FAILED")
    assert_refused(await note(psychologist, client, longest * 2), 413, "PAYLOAD_TOO_LARGE")
    assert (await notes(psychologist, client)).data["text"] == longest


async def test_only_of_those_whom_one_counsels(service: Service) -> None:
    psychologist, client = await a_pair(service)
    stranger, colleague = service.person(), await service.psychologist("Maya")
    for person, about in ((psychologist, stranger), (psychologist, uuid4()), (colleague, client)):
        assert_refused(await notes(person, about), 404, "NOT_FOUND", "Client not found")
        assert_refused(await note(person, about, "x"), 404, "NOT_FOUND", "Client not found")
        assert_refused(await note(person, about, ""), 404, "NOT_FOUND")
    # Whatever became of it, and however they meet.
    booking = await book(stranger, psychologist, 21, "offline")
    assert (await stranger.put(f"/counselings/{booking['id']}/cancel")).status == 200
    assert (await note(psychologist, stranger, "Tidak jadi")).status == 200


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.PSYCHOLOGIST}))
async def test_no_other_role_reads_or_writes_them(service: Service, role: Role) -> None:
    psychologist, client = await a_pair(service)
    await note(psychologist, client, PRIVATE_NOTE)
    same = service.person(role, person_id=psychologist.id)
    for person in (service.person(role), same, client):
        assert_refused(await notes(person, client), 403, "FORBIDDEN")
        assert_refused(await note(person, client, "x"), 403, "FORBIDDEN")
    assert (await notes(psychologist, client)).data["text"] == PRIVATE_NOTE


async def test_a_hand_over_takes_none_away_and_gives_none(service: Service) -> None:
    first, second, client = await service.psychologist(), await service.psychologist("Maya"), service.person()
    booking = await book(client, first)
    await note(first, client, PRIVATE_NOTE)
    assert (await hand_over(first, booking, second)).status == 200
    assert (await notes(second, client)).data["text"] == ""
    assert (await note(second, client, "Milik Maya")).status == 200
    assert (await notes(first, client)).data["text"] == PRIVATE_NOTE
    assert (await note(first, client, f"{PRIVATE_NOTE}.")).status == 200
    assert (await notes(second, client)).data["text"] == "Milik Maya"
    assert (await note(first, client, "")).status == 200
    assert_refused(await notes(first, client), 404, "NOT_FOUND", "Client not found")


async def test_they_are_in_nothing_that_others_see(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    await note(psychologist, client, PRIVATE_NOTE)
    admin = service.person(Role.SUPER_ADMIN)
    assert (await psychologist.say(session_id, "Halo")).status == 201
    counseling_id = (await client.session(session_id))["counselingId"]
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    paths = (
        f"/counselings/{counseling_id}",
        "/counselings",
        "/chat/sessions",
        "/notifications",
        f"/chat/history?sessionId={session_id}",
        f"/chat/sessions/{session_id}/timeline",
        *(f"/chat/sessions/{session_id}/transcript?format={form}" for form in ("json", "txt", "html")),
        "/reports/organization?from=2020-01-01&to=2020-02-01",
    )
    people = (client, psychologist, admin)
    seen = [(await person.call("GET", path)).json for person in people for path in paths]
    async with service.client.get(f"{service.base}/metrics") as metrics:
        page = await metrics.text()
    assert 'route="/api/v1/clients/{id}/notes"' in page
    assert str(client.id) not in page
    assert "Halo" in str(seen)
    assert PRIVATE_NOTE not in f"{seen}{page}{service.runtime.ably_local.published}"  # type: ignore[union-attr]


@pytest.mark.parametrize("style", ["text", "json"])
async def test_no_word_of_them_is_in_the_log(
    service: Service, capsys: pytest.CaptureFixture[str], style: str
) -> None:
    psychologist, client = await a_pair(service)
    before = structlog.get_config()
    configure_logging(style)
    try:
        assert (await note(psychologist, client, PRIVATE_NOTE)).status == 200
        # Also when something is wrong with what is stored.
        await service.runtime.pool.execute("UPDATE client_notes SET text = text || '\\x00'::bytea")
        altered = await notes(psychologist, client)
        assert (altered.status, altered.code) == (404, "NOT_FOUND")
        assert (await note(psychologist, client, PRIVATE_NOTE)).status == 200
        assert (await notes(psychologist, client)).data["text"] == PRIVATE_NOTE
    finally:
        structlog.configure(**before)
    logged = capsys.readouterr().err
    assert "not as it was written" in logged, "that it was altered is to be found in the log"
    assert PRIVATE_NOTE not in logged


async def test_no_word_of_them_is_readable_in_the_database(service: Service) -> None:
    psychologist, client = await a_pair(service)
    other = service.person()
    await book(other, psychologist, 21)
    await note(psychologist, client, PRIVATE_NOTE)
    await note(psychologist, other, "Lain")
    pool = service.runtime.pool
    assert await plaintext_in_database(pool, "psychologist") != [], "what is there is found"
    assert await plaintext_in_database(pool, "Sari") == []
    for word in (PRIVATE_NOTE, "Catatan"):
        assert await plaintext_in_database(pool, word) == []
    await pool.execute(
        "UPDATE client_notes SET text = (SELECT text FROM client_notes WHERE client_id = $1)", client.id
    )
    assert (await notes(psychologist, client)).data["text"] == PRIVATE_NOTE
    with pytest.raises(DataKeyError):
        await service.runtime.client_notes.get_client_notes(psychologist.caller, other.id)
