"""Lists of sessions, and the ids in them."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest

from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.envelope import envelope_fault
from tests.support.forms import upload
from tests.support.sessions import MARKED_KEYS, OPENING, opened, reaches
from tests.support.soon import in_days, second_ahead

if TYPE_CHECKING:
    from tests.support.service import Person, Service


async def test_sessions_are_listed_page_by_page_latest_first(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    booked = []
    for day in (33, 31, 35, 32, 34):
        start = in_days(day)
        booked.append((start, await client.book_session(start, start + timedelta(hours=1))))
    # Three that start at the very same instant, so that only the id tells them apart.
    for _ in range(3):
        start = in_days(40)
        booked.append((start, await service.person().book_session(start, start + timedelta(hours=1))))
    expected = [session_id for _, session_id in sorted(booked, reverse=True)]
    for limit in (1, 2, 3, 8, 100):
        seen: list[str] = []
        more: dict[str, str] = {}
        while True:
            data = (await psychologist.get("/chat/sessions", limit=limit, **more)).data
            assert set(data) == {"data", "nextCursor"}
            assert len(data["data"]) <= limit
            assert all(
                set(session) == MARKED_KEYS | {"unreadCount", "lastMessage"} for session in data["data"]
            )
            seen += [session["id"] for session in data["data"]]
            if data["nextCursor"] is None:
                break
            more = {"cursor": data["nextCursor"]}
        assert seen == expected
    cancelled = (await client.get("/counselings")).data["data"][0]
    await client.put(f"/counselings/{cancelled['id']}/cancel")
    for status, count in (("pending", 4), ("cancelled", 1), ("active", 0), ("completed", 0)):
        data = (await client.get("/chat/sessions", status=status)).data["data"]
        assert [session["status"] for session in data] == [status] * count


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


async def test_a_forged_cursor_is_refused_by_every_list(service: Service) -> None:
    await service.psychologist()
    client, nobody = service.person(), str(uuid4())
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    lists: dict[str, tuple[str, dict[str, str]]] = {
        "sessions": ("/chat/sessions", {}),
        "sessions by activity": ("/chat/sessions", {"order": "activity"}),
        "counselings": ("/counselings", {}),
        "notifications": ("/notifications", {}),
        "psychologists": ("/psychologists", {}),
        "history": ("/chat/history", {"sessionId": session_id}),
    }
    at = ("2027-01-01T00:00:00+00:00", nobody)
    places = {"psychologists": ("Sari", nobody), "history": (session_id, "before", 3)}
    good = {name: forged(name, *places.get(name, at)) for name in lists}
    faults = {}
    for name, (path, query) in lists.items():
        reply = await client.get(path, cursor=good[name], **query)
        assert reply.status == 200, (name, reply.json)
        cursors = {f"of {other}": cursor for other, cursor in good.items() if other != name}
        cursors |= wrong_cursors(name, nobody) | {"looser": f"{good[name]}=", "starred": f"{good[name]}*"}
        cursors["more"] = forged(*orjson.loads(base64.urlsafe_b64decode(good[name])), "x")
        for kind, cursor in cursors.items():
            reply = await client.get(path, cursor=cursor, **query)
            fault = envelope_fault(reply)
            if fault is not None or set(reply.json["errors"]) != {"cursor"}:
                faults[name, kind] = fault or reply.json
    assert faults == {}


def wrong_cursors(name: str, nobody: str) -> dict[str, str]:
    by_name = name == "psychologists"
    return {
        "no base64": "!",
        "not ASCII": "é",
        "bad padding": "abc",
        "no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "empty": "",
        "nothing inside": forged(),
        "an object": base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        "a number": base64.urlsafe_b64encode(b"1").decode(),
        "no place": forged(name),
        "no id": forged(name, "2027-01-01T00:00:00+00:00"),
        "no key": forged(name, "\0" if by_name else "", nobody),
        "words": forged(name, "yesterday", "me"),
        "numbers": forged(name, 1, 2),
        "nulls": forged(name, None, None),
        "deep": forged(name, [["x"]], {"a": nobody}),
        "no zone": forged(name, 1 if by_name else "2027-01-01T00:00:00", nobody),
        "before the first instant": forged(name, 1 if by_name else "0001-01-01T00:00:00+14:00", nobody),
        "behind the last instant": forged(name, 1 if by_name else "9999-12-31T23:59:59-14:00", nobody),
        "an unknown way": forged(name, nobody, "sideways", 3),
        "a negative seq": forged(name, nobody, "before", -1),
        "a seq too large": forged(name, nobody, "before", 2**60),
    }


@pytest.mark.wall_time
@spoken.both
async def test_the_active_list_has_what_is_open_now(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    waiting = service.person()
    later = in_days(1)
    await waiting.book_session(later, later + timedelta(hours=1))
    for person in (client, psychologist):
        listed = (await person.get("/chat/sessions/active")).data
        # The psychologist has said two words by their automations, and nobody has read them.
        unread = 2 if person is client else 0
        shown = await client.session(session_id) | {"unreadCount": unread}
        shown["lastMessage"] = listed["data"][0]["lastMessage"]
        assert shown["lastMessage"]["preview"] == OPENING
        assert listed == {"data": [shown], "nextCursor": None}
    assert (await waiting.get("/chat/sessions/active")).data["data"] == []
    await client.put(f"/chat/sessions/{session_id}/end")
    assert (await client.get("/chat/sessions/active")).data["data"] == []


@pytest.mark.wall_time
async def test_the_list_shows_the_last_message_of_each_session(service: Service) -> None:
    client, psychologist, session_id = await opened(service)

    async def last(person: Person) -> dict[str, Any]:
        [entry] = (await person.get("/chat/sessions")).data["data"]
        found: dict[str, Any] = entry["lastMessage"]
        return found

    assert (await last(client))["messageType"] == "automated"
    sent = (await client.say(session_id, "Halo,\n\n  Dokter")).data
    for person in (client, psychologist):
        assert await last(person) == {
            "id": sent["id"],
            "seq": 3,
            "senderId": str(client.id),
            "messageType": "text",
            "preview": "Halo, Dokter",
            "createdAt": sent["createdAt"],
        }
    await psychologist.say(session_id, "a" * 118 + "\U0001f469\u200d\U0001f4bb" + "b" * 3000)
    shown = await last(client)
    assert shown["preview"] == "a" * 118 + "\U0001f469…"
    assert shown["senderId"] == str(psychologist.id)
    # A file says what was said with it, else what it is called.
    for caption, said in (("Ini catatan saya", "Ini catatan saya"), (None, "catatan tidur.txt")):
        await upload(client, session_id, b"Semalam", "catatan tidur.txt", caption=caption)
        shown = await last(psychologist)
        assert (shown["messageType"], shown["preview"]) == ("file", said)
    (overseen,) = (await service.person(Role.SUPER_ADMIN).get("/chat/sessions")).data["data"]
    assert overseen["id"] == session_id
    assert {"lastMessage", "unreadCount"}.isdisjoint(overseen)
    waiting = service.person()
    await waiting.book_session(in_days(20), in_days(20) + timedelta(hours=1))
    assert await last(waiting) is None


@pytest.mark.wall_time
async def test_sessions_are_listed_by_what_happened_last(service: Service) -> None:
    psychologist = await service.psychologist()
    clients = [service.person(name=f"Klien {number}") for number in range(6)]
    starts_at = second_ahead(2)
    ids = []
    for number, client in enumerate(clients):
        start = starts_at if number < 3 else in_days(20 + number)
        ids.append(await client.book_session(start, start + timedelta(minutes=2)))
    for client, session_id in zip(clients[:3], ids[:3], strict=True):
        await reaches(client, session_id, "active")

    async def listed(limit: int = 100, **query: Any) -> list[int]:
        found: list[int] = []
        more: dict[str, Any] = {}
        while more.get("cursor", "") is not None:
            data = (
                await psychologist.get("/chat/sessions", order="activity", limit=limit, **query, **more)
            ).data
            found += [ids.index(one["id"]) for one in data["data"]]
            more = {"cursor": data["nextCursor"]}
        return found

    for number in (1, 0, 2):
        await psychologist.say(ids[number], "Halo")
    # Those that are still to come were booked one after the other, before the chats opened.
    assert await listed() == [2, 0, 1, 5, 4, 3]
    await clients[1].say(ids[1], "Halo juga")
    assert await listed() == [1, 2, 0, 5, 4, 3]
    await clients[2].put(f"/chat/sessions/{ids[2]}/end")
    assert await listed() == [2, 1, 0, 5, 4, 3]
    await clients[0].say(ids[0], "Halo juga")
    booked = (await clients[4].get("/counselings")).data["data"][0]["id"]
    await clients[4].put(f"/counselings/{booked}/cancel")
    expected = [4, 0, 2, 1, 5, 3]
    for limit in (1, 2, 3, 6, 100):
        assert await listed(limit) == expected
    assert await listed(status="active") == [0, 1]
    assert await listed(1, status="pending") == [5, 3]
    assert await listed(status="cancelled") == [4]
    assert await listed(status="completed") == [2]
    # Something that happens while one pages is not in the way of what is further back.
    first = (await psychologist.get("/chat/sessions", order="activity", limit=3)).data
    await clients[0].say(ids[0], "Masih di sini")
    query = {"order": "activity", "cursor": first["nextCursor"]}
    rest = (await psychologist.get("/chat/sessions", **query)).data["data"]
    assert [ids.index(one["id"]) for one in rest] == [1, 5, 3]


async def test_ids_in_answers_are_in_the_canonical_form(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    for spelling in (session_id.upper(), UUID(session_id).hex):
        reply = await client.get(f"/chat/sessions/{spelling}")
        assert reply.status in (200, 404)
        if reply.status == 200:
            assert reply.data["id"] == session_id
