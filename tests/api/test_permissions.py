"""Who may do what: every route, every role, their own session and somebody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from handlers.app import ROUTES
from rdchat.tokens import Role
from tests.support.envelope import envelope_fault
from tests.support.forms import form, upload
from tests.support.service import Person, Reply, whole_second
from tests.support.soon import book_at, in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Service

CLIENTS = (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)
PRIVATE_TEXT = "Yang hanya kita berdua tahu"
PRIVATE_NAMES = ("Dokter Rahasia", "Klien Rahasia")
_STATES = ("pending", "active", "ending_soon", "completed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What each kind of caller gets. Anonymous callers get 401, unless the route is for them as well.

    `own`: a participant of the session, by kind. `stranger`: somebody else, by kind. A route that is about
    no particular session has only `own`, which then goes for everybody of the kind.
    """

    client: int
    psychologist: int
    admin: int
    stranger: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    # Then the body is a form with a file.
    file: bool = False
    anonymous: int = 401


_ONE_SESSION = {"sessionId": "{session}"}
MATRIX = {
    ("POST", "/counselings/book"): Row(
        client=201,
        psychologist=403,
        admin=201,
        body={
            "method": "online",
            "date": f"{in_days(30):%Y-%m-%d}",
            "startTime": "14:00",
            "endTime": "15:00",
        },
    ),
    ("GET", "/counselings"): Row(client=200, psychologist=200, admin=200),
    ("GET", "/counselings/{id}"): Row(client=200, psychologist=200, admin=200, stranger=403),
    ("GET", "/chat/ably-token"): Row(
        client=200, psychologist=200, admin=403, stranger=403, params=_ONE_SESSION
    ),
    ("POST", "/chat/messages"): Row(
        client=201, psychologist=201, admin=403, stranger=403, body=_ONE_SESSION | {"message": "Halo"}
    ),
    ("POST", "/chat/messages/upload"): Row(client=201, psychologist=201, admin=403, stranger=403, file=True),
    ("GET", "/chat/attachments/{id}"): Row(client=200, psychologist=200, admin=403, stranger=403),
    # A link is all that it takes, and nobody has this one, whoever they are.
    ("GET", "/chat/attachments/{id}/content"): Row(
        client=403, psychologist=403, admin=403, stranger=403, anonymous=403, params={"token": "x" * 75}
    ),
    ("GET", "/chat/history"): Row(client=200, psychologist=200, admin=403, stranger=403, params=_ONE_SESSION),
    ("POST", "/chat/typing"): Row(
        client=200, psychologist=200, admin=403, stranger=403, body=_ONE_SESSION | {"isTyping": True}
    ),
    ("GET", "/chat/sessions"): Row(client=200, psychologist=200, admin=200),
    ("GET", "/chat/sessions/active"): Row(client=200, psychologist=200, admin=200),
    ("GET", "/chat/sessions/{id}"): Row(client=200, psychologist=200, admin=200, stranger=403),
    ("GET", "/chat/sessions/{id}/timeline"): Row(client=200, psychologist=200, admin=200, stranger=403),
    ("GET", "/chat/sessions/{id}/diagram"): Row(client=200, psychologist=200, admin=200, stranger=403),
    ("GET", "/chat/sessions/{id}/transcript"): Row(client=200, psychologist=200, admin=403, stranger=403),
    ("GET", "/psychologists"): Row(client=200, psychologist=200, admin=200),
    ("GET", "/psychologists/{id}"): Row(client=200, psychologist=200, admin=200),
    ("PUT", "/psychologists/{id}"): Row(
        client=403, psychologist=403, admin=200, body={"fullName": PRIVATE_NAMES[0]}
    ),
    ("GET", "/psychologists/{id}/availability"): Row(client=200, psychologist=200, admin=200),
    ("PUT", "/psychologists/{id}/availability"): Row(
        client=403, psychologist=200, admin=200, stranger=403, body={"weekly": []}
    ),
    ("GET", "/psychologists/{id}/slots"): Row(
        client=200, psychologist=200, admin=200, params={"date": f"{in_days(30):%Y-%m-%d}"}
    ),
    # Last, because they end what the others need.
    ("PUT", "/chat/sessions/{id}/end"): Row(client=200, psychologist=200, admin=403, stranger=403),
    ("PUT", "/counselings/{id}/cancel"): Row(
        client=200, psychologist=200, admin=200, stranger=403, body={"reason": "Sakit"}
    ),
}
_ENDING = {("PUT", "/chat/sessions/{id}/end"), ("PUT", "/counselings/{id}/cancel")}


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert {(route.method, route.path) for route in ROUTES} == set(MATRIX)


@dataclass
class World:
    """Open sessions of one psychologist, one for each who is to do something with it."""

    psychologist: Person
    clients: dict[str, Person]
    sessions: dict[str, str]
    counselings: dict[str, str]
    attachments: dict[str, str]


async def world(service: Service) -> World:
    psychologist = await service.psychologist(PRIVATE_NAMES[0])
    clients = {
        owner: service.person(Role(owner) if owner in CLIENTS else Role.CLIENT, PRIVATE_NAMES[1])
        for owner in ("client", "student", "employee", "psychologist", "admin")
    }
    starts_at = whole_second(2)
    bookings = {
        owner: (await book_at(client, starts_at, 120, psychologistId=str(psychologist.id))).data
        for owner, client in clients.items()
    }
    sessions = {owner: booking["chatSession"]["sessionId"] for owner, booking in bookings.items()}

    async def all_open() -> bool:
        return len((await psychologist.get("/chat/sessions/active")).data["data"]) == len(sessions)

    await until(all_open)
    for owner, session_id in sessions.items():
        assert (await clients[owner].say(session_id, PRIVATE_TEXT)).status == 201
    attachments = {}
    for owner, session_id in sessions.items():
        sent = await upload(clients[owner], session_id, PRIVATE_TEXT.encode(), f"{PRIVATE_NAMES[1]}.txt")
        attachments[owner] = sent.data["attachment"]["id"]
    counselings = {owner: one["id"] for owner, one in bookings.items()}
    return World(psychologist, clients, sessions, counselings, attachments)


def fill(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: fill(one, ids) for name, one in value.items()}
    return value.format(**ids) if isinstance(value, str) else value


async def ask(person: Person | None, service: Service, key: tuple[str, str], here: World, of: str) -> Reply:
    method, path = key
    ids = {"session": here.sessions[of]}
    what = "psychologist" if path.startswith("/psychologists") else path.split("/")[1]
    what = "attachment" if path.startswith("/chat/attachments") else what
    ids["id"] = {
        "psychologist": str(here.psychologist.id),
        "counselings": here.counselings[of],
        "chat": here.sessions[of],
        "attachment": here.attachments[of],
    }[what]
    row = MATRIX[key]
    options: dict[str, Any] = {"params": fill(row.params, ids)}
    if row.file:
        options["data"] = form(ids["session"], b"Halo", "halo.txt")
    elif row.body is not None:
        options["json"] = fill(row.body, ids)
    if person is not None:
        return await person.call(method, path.format(**ids), **options)
    url = f"{service.base}/api/v1{path.format(**ids)}"
    async with service.client.request(method, url, **options) as answer:
        return Reply(answer.status, await answer.json(), answer.headers)


def leak(reply: Reply, here: World) -> str | None:
    """Say what a refusal tells about the session that it refuses."""
    text = str(reply.json)
    secrets = (PRIVATE_TEXT, *PRIVATE_NAMES, *_STATES, *here.sessions.values(), str(here.psychologist.id))
    return next((secret for secret in secrets if secret in text), None)


async def test_every_route_answers_every_role_as_the_matrix_says(service: Service) -> None:
    here, last = await asyncio.gather(world(service), world(service))
    strangers = {role: service.person(role, "Orang") for role in (*CLIENTS, Role.PSYCHOLOGIST)}
    strange_psychologist = await service.psychologist("Orang")
    strangers[Role.PSYCHOLOGIST] = strange_psychologist
    faults = []

    async def check(who: str, person: Person | None, key: tuple[str, str], of: str, status: int) -> None:
        present = last if key[1].endswith("/cancel") else here
        reply = await ask(person, service, key, present, of)
        told = None
        if reply.status >= 400:
            told = envelope_fault(reply) or leak(reply, present)
        if reply.status != status or told:
            faults.append((*key, who, reply.status, f"expected {status}", told))

    for key, row in MATRIX.items():
        await check("anonymous", None, key, "client", row.anonymous)
        if row.stranger is not None:
            for role, person in strangers.items():
                await check(f"strange {role}", person, key, "client", row.stranger)
        for role in CLIENTS:
            person = (last if key[1].endswith("/cancel") else here).clients[role.value]
            await check(f"own {role}", person, key, role.value, row.client)
        psychologist = (last if key[1].endswith("/cancel") else here).psychologist
        of = "psychologist" if key in _ENDING else "client"
        await check("own psychologist", psychologist, key, of, row.psychologist)
        admin = service.person(Role.SUPER_ADMIN, "Admin")
        await check("super_admin", admin, key, "admin" if key in _ENDING else "client", row.admin)
    assert faults == []


async def test_strangers_and_administrators_list_only_their_own(service: Service) -> None:
    here = await world(service)
    for role in Role:
        somebody = service.person(role, "Orang")
        assert (await somebody.get("/chat/sessions")).data == {"data": [], "nextCursor": None}
        assert (await somebody.get("/chat/sessions/active")).data["data"] == []
        assert (await somebody.get("/counselings")).data == {"data": [], "nextCursor": None}
    for owner, client in here.clients.items():
        listed = (await client.get("/chat/sessions")).data["data"]
        assert [session["id"] for session in listed] == [here.sessions[owner]]
    assert len((await here.psychologist.get("/chat/sessions")).data["data"]) == 5


async def test_an_administrator_sees_state_but_never_content(service: Service) -> None:
    here = await world(service)
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    session_id = here.sessions["client"]
    seen = [
        await admin.get(f"/chat/sessions/{session_id}"),
        await admin.get(f"/chat/sessions/{session_id}/timeline"),
        await admin.get(f"/chat/sessions/{session_id}/diagram", format="json"),
        await admin.get(f"/counselings/{here.counselings['client']}"),
    ]
    assert [reply.status for reply in seen] == [200] * 4
    assert seen[0].data["status"] == "active"
    assert PRIVATE_TEXT not in str([reply.json for reply in seen])
    refused = [
        await admin.get("/chat/history", sessionId=session_id),
        await admin.get("/chat/ably-token", sessionId=session_id),
        await admin.say(session_id, "Halo"),
        await admin.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
        await upload(admin, session_id, b"Halo", "halo.txt"),
        await admin.get(f"/chat/attachments/{here.attachments['client']}"),
    ]
    for reply in refused:
        assert (reply.status, reply.code) == (403, "NOT_PARTICIPANT")
    assert len(await here.clients["client"].history(session_id)) == 4


async def test_a_stranger_cannot_tell_sessions_in_different_states_apart(service: Service) -> None:
    await service.psychologist()
    client, stranger = service.person(), service.person(name="Orang")
    start = in_days(30)
    pending = (await client.book(start, start + timedelta(hours=1))).data
    later = start + timedelta(hours=2)
    over = (await client.book(later, later + timedelta(hours=1))).data
    assert (await client.put(f"/counselings/{over['id']}/cancel")).status == 200
    answers = []
    for booking in (pending, over):
        session_id = booking["chatSession"]["sessionId"]
        replies = [
            await stranger.say(session_id, "Halo"),
            await stranger.put(f"/chat/sessions/{session_id}/end"),
            await stranger.get(f"/chat/sessions/{session_id}"),
            await stranger.get("/chat/history", sessionId=session_id),
            await stranger.get("/chat/ably-token", sessionId=session_id),
            await stranger.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
            await upload(stranger, session_id, b"Halo", "halo.txt"),
            await stranger.put(f"/counselings/{booking['id']}/cancel"),
            await stranger.get(f"/counselings/{booking['id']}"),
        ]
        answers.append([(reply.status, reply.code, reply.json["message"]) for reply in replies])
    assert answers[0] == answers[1]


async def test_a_repeated_message_id_of_somebody_else_is_not_ones_own(service: Service) -> None:
    here = await world(service)
    client, session_id = here.clients["client"], here.sessions["client"]
    first = await client.say(session_id, "Dari klien", "sama")
    assert first.status == 201
    stranger = service.person(name="Orang")
    refused = await stranger.say(session_id, "x", "sama")
    assert (refused.status, refused.code) == (403, "NOT_PARTICIPANT")
    other = await here.psychologist.say(session_id, "Dari psikolog", "sama")
    assert other.status == 201
    assert other.data["id"] != first.data["id"]


async def test_a_psychologist_changes_nobody_and_creates_nobody(service: Service) -> None:
    psychologist = await service.psychologist()
    for person_id in (psychologist.id, uuid4()):
        reply = await psychologist.put(f"/psychologists/{person_id}", {"fullName": "Lain"})
        assert (reply.status, reply.code) == (403, "FORBIDDEN")
    shown = (await psychologist.get(f"/psychologists/{psychologist.id}")).data
    assert shown == {
        "id": str(psychologist.id),
        "fullName": "Sari",
        "timezone": "Asia/Jakarta",
        "isActive": True,
    }
