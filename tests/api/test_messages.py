"""Messages, and what can be read of them later."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.sessions import opened, reaches
from tests.support.soon import book_at, in_days, second_ahead, session_soon

if TYPE_CHECKING:
    from tests.support.service import Person, Service


@spoken.both
async def test_a_repeated_client_message_id_is_the_same_message(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    first = await client.say(session_id, "Halo", "a")
    assert first.status == 201
    again = await client.say(session_id, "Halo", "a")
    assert (again.status, again.data) == (200, first.data)
    replies = await asyncio.gather(*(client.say(session_id, "Sekali saja", "b") for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 19}
    assert all(reply.data == replies[0].data for reply in replies)
    both = await asyncio.gather(*(one.say(session_id, "Sama", "c") for one in (client, psychologist)))
    assert [reply.status for reply in both] == [201, 201]
    # Without an id, each is a message of its own; null is no id.
    for body in ({}, {"clientMessageId": None}):
        for _ in range(2):
            reply = await client.post(
                "/chat/messages", {"sessionId": session_id, "message": "Lagi", "messageType": "text", **body}
            )
            assert reply.status == 201
            assert "clientMessageId" not in reply.data
    history = await client.history(session_id)
    assert [one["seq"] for one in history] == list(range(1, 2 + 1 + 1 + 2 + 4 + 1))
    assert Counter(one["message"] for one in history)["Sekali saja"] == 1
    service.runtime.engine.passivate(idle_seconds=-1)
    forgotten = await client.say(session_id, "Halo", "a")
    assert (forgotten.status, forgotten.data) == (200, first.data)


async def test_a_client_message_id_with_other_words_is_refused(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    first = await client.say(session_id, "Halo", "a")

    async def check(person: Person) -> None:
        for text in ("Sesuatu yang lain", "halo", "Halo ", "Hal\u200bo"):
            refused = await person.say(session_id, text, "a")
            assert_refused(refused, 422, "IDEMPOTENCY_MISMATCH")
            assert "clientMessageId" in refused.json["message"]
        again = await person.say(session_id, "Halo", "a")
        assert (again.status, again.data) == (200, first.data)

    await check(client)
    service.runtime.engine.passivate(idle_seconds=-1)
    await check(client)
    # Of some that come at once, and are worked on together, one is sent; who says the same gets the same.
    words = ["satu", "dua", "tiga"] * 6
    replies = await asyncio.gather(*(client.say(session_id, text, "b") for text in words))
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 5, 422: 12}
    [sent] = [reply.data for reply in replies if reply.status == 201]
    for text, reply in zip(words, replies, strict=True):
        if reply.status == 422:
            assert reply.code == "IDEMPOTENCY_MISMATCH"
            assert text != sent["message"]
        else:
            assert reply.data == sent
    # A key does not change it, and is not used up by it.
    body = {"sessionId": session_id, "message": "lain", "clientMessageId": "a"}
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        refused = await client.call("POST", "/chat/messages", json=body, headers=headers)
        assert_refused(refused, 422, "IDEMPOTENCY_MISMATCH")
    again = await client.call("POST", "/chat/messages", json=body | {"message": "Halo"}, headers=headers)
    assert (again.status, again.data) == (200, first.data)
    assert [one["message"] for one in await client.history(session_id)][2:] == ["Halo", sent["message"]]
    # Also when the chat is over.
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    await check(client)
    service.runtime.engine.passivate(idle_seconds=-1)
    await check(client)
    replies = await asyncio.gather(*(client.say(session_id, text, "a") for text in ("Halo", "lain") * 3))
    assert [reply.status for reply in replies] == [200, 422] * 3


async def test_the_same_client_message_id_in_two_sessions_is_two_messages(service: Service) -> None:
    psychologist = await service.psychologist()
    one, other = service.person(), service.person()
    starts_at = second_ahead(1)
    ids = []
    bookings = [(await book_at(client, starts_at, 60)).data for client in (one, other)]
    for booking in bookings:
        session_id = booking["chatSession"]["sessionId"]
        await reaches(psychologist, session_id, "active")
        reply = await psychologist.say(session_id, "Halo", "sama")
        assert reply.status == 201
        ids.append(reply.data["id"])
    assert ids[0] != ids[1]


async def test_messages_of_many_at_once_are_numbered_without_gap(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    people = (client, psychologist) * 50
    replies = await asyncio.gather(*(one.say(session_id, f"{n}") for n, one in enumerate(people)))
    assert {reply.status for reply in replies} == {201}
    assert sorted(reply.data["seq"] for reply in replies) == list(range(3, 103))
    session = await client.session(session_id)
    assert session["lastSeq"] == 102
    pages = [
        (await client.get("/chat/history", sessionId=session_id, limit=100, page=page)).data["data"]
        for page in (2, 1)
    ]
    assert [one["seq"] for page in pages for one in page] == list(range(1, 103))


async def test_a_sender_has_the_role_of_the_session_whatever_the_token_says(service: Service) -> None:
    """A psychologist may run the service as well; in the chat they are the psychologist."""
    person_id = uuid4()
    admin = service.person(Role.SUPER_ADMIN, "Sari", person_id=person_id)
    assert (await admin.put(f"/psychologists/{person_id}", {"fullName": "Sari"})).status == 201
    client = service.person()
    session_id = await session_soon(client, 1, 60)
    await reaches(client, session_id, "active")
    sent = await admin.say(session_id, "Halo")
    assert sent.status == 201
    assert (await client.history(session_id))[-1]["sender"]["role"] == "psychologist"
    assert sent.data["sender"]["role"] == "psychologist"


@spoken.both
async def test_history_is_paged_from_the_newest_backwards(service: Service) -> None:
    client, _, session_id = await opened(service)
    for number in range(3, 26):
        assert (await client.say(session_id, f"Pesan {number}")).data["seq"] == number

    async def page(**query: Any) -> tuple[list[int], dict[str, Any]]:
        data = (await client.get("/chat/history", sessionId=session_id, **query)).data
        assert set(data) == {"data", "metadata", "nextCursor"}
        assert (data["nextCursor"] is None) == (data["metadata"]["nextCursor"] is None)
        return [one["seq"] for one in data["data"]], data["metadata"]

    def metadata(number: int, limit: int, pages: int, cursor: int | None) -> dict[str, Any]:
        return {
            "page": number,
            "limit": limit,
            "total": 25,
            "totalPages": pages,
            "hasNextPage": number < pages,
            "hasPrevPage": number > 1,
            "nextCursor": cursor,
        }

    assert await page() == (list(range(6, 26)), metadata(1, 20, 2, 6))
    assert await page(page=2) == (list(range(1, 6)), metadata(2, 20, 2, None))
    assert await page(limit=10, page=2) == (list(range(6, 16)), metadata(2, 10, 3, 6))
    assert await page(limit=25) == (list(range(1, 26)), metadata(1, 25, 1, None))
    assert await page(limit=1, page=25) == ([1], metadata(25, 1, 25, None))
    for far in (3, 10_000_000):
        seqs, described = await page(page=far)
        assert seqs == []
        assert (described["hasNextPage"], described["nextCursor"]) == (False, None)

    # Cursors: following nextCursor sees every message once.
    seen: list[int] = []
    seqs, described = await page(limit=7)
    while True:
        seen = seqs + seen
        if described["nextCursor"] is None:
            break
        seqs, described = await page(limit=7, before=described["nextCursor"])
    assert seen == list(range(1, 26))
    assert (await page(limit=3, before=10))[0] == [7, 8, 9]
    assert (await page(limit=3, before=1))[0] == []
    assert (await page(limit=3, before=26))[0] == [23, 24, 25]
    assert (await page(limit=3, after=10))[0] == [11, 12, 13]
    assert (await page(limit=3, after=0))[0] == [1, 2, 3]
    assert (await page(limit=3, after=25))[0] == []
    assert (await page(limit=3, after=2**53))[0] == []
    seen, position = [], 0
    while True:
        seqs, described = await page(limit=7, after=position)
        seen += seqs
        if not described["hasNextPage"]:
            break
        position = described["nextCursor"]
    assert seen == list(range(1, 26))


async def test_history_is_read_by_cursor_both_ways(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    for number in range(3, 26):
        assert (await client.say(session_id, f"Pesan {number}")).data["seq"] == number

    async def pages(**first: Any) -> list[list[int]]:
        found, query = [], first
        while True:
            data = (await client.get("/chat/history", sessionId=session_id, limit=7, **query)).data
            found.append([one["seq"] for one in data["data"]])
            if data["nextCursor"] is None:
                return found
            assert isinstance(data["nextCursor"], str)
            query = {"cursor": data["nextCursor"]}

    backwards = [list(range(19, 26)), list(range(12, 19)), list(range(5, 12)), list(range(1, 5))]
    assert await pages() == backwards
    assert await pages(page=2) == backwards[1:]
    assert await pages(before=12) == backwards[2:]
    assert await pages(after=10) == [list(range(11, 18)), list(range(18, 25)), [25]]

    cursor = (await client.get("/chat/history", sessionId=session_id)).data["nextCursor"]
    for more in ({"page": 1}, {"before": 3}, {"after": 3}):
        reply = await client.get("/chat/history", sessionId=session_id, cursor=cursor, **more)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {"cursor"}
    # One of another session says nothing here.
    later = in_days(30)
    other = await service.person().book_session(
        later, later + timedelta(hours=1), psychologistId=str(psychologist.id)
    )
    reply = await psychologist.get("/chat/history", sessionId=other, cursor=cursor)
    assert_refused(reply, 400, "VALIDATION_FAILED")


async def test_history_before_a_seq_that_is_still_to_come_is_the_newest_page(service: Service) -> None:
    """Whoever heard a later message on the channel first asks for what came before it."""
    client, _, session_id = await opened(service)
    for number in range(3, 9):
        assert (await client.say(session_id, f"Pesan {number}")).data["seq"] == number
    shown = {}
    for before in (9, 10, 11, 12, 1_000, 2**53):
        data = (await client.get("/chat/history", sessionId=session_id, limit=3, before=before)).data
        shown[before] = [one["seq"] for one in data["data"]]
    assert all(seqs == [6, 7, 8] for seqs in shown.values()), shown


async def test_history_refuses_queries_out_of_range(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    faults = {}
    for query in (
        {"limit": 0},
        {"limit": 101},
        {"limit": -1},
        {"page": 0},
        {"page": -1},
        {"before": 0},
        {"before": 2**63},
        {"after": -1},
        {"after": 2**63},
        {"before": 5, "after": 2},
    ):
        reply = await client.get("/chat/history", sessionId=session_id, **query)
        fault = envelope_fault(reply)
        if fault is not None or reply.json["code"] != "VALIDATION_FAILED":
            faults[str(query)] = fault or reply.json
    assert faults == {}
    empty = (await client.get("/chat/history", sessionId=session_id)).data
    assert empty["data"] == []
    assert empty["metadata"] == {
        "page": 1,
        "limit": 20,
        "total": 0,
        "totalPages": 0,
        "hasNextPage": False,
        "hasPrevPage": False,
        "nextCursor": None,
    }


async def test_typing_is_told_while_the_chat_is_open(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    for person in (client, psychologist):
        for is_typing in (True, False):
            reply = await person.post("/chat/typing", {"sessionId": session_id, "isTyping": is_typing})
            assert (reply.status, reply.data) == (200, {"sessionId": session_id, "isTyping": is_typing})
    assert len(await client.history(session_id)) == 2
