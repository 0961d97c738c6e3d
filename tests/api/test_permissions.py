"""Who may do what: every route, every role, in their own session and in somebody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import jwt
import pytest

from handlers.openapi.responses import errors_of
from handlers.server.application import ROUTES
from rdchat.common.errors import ErrorCode
from rdchat.domain.person import Caller, Role
from tests.support.bases import request_of
from tests.support.envelope import envelope_fault
from tests.support.forms import upload
from tests.support.service import SECRET, Person, Reply
from tests.support.soon import book_at, in_days, second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Service

Cell = int | ErrorCode
CLIENTS = (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)
#: Which cell of a row says what a role gets.
COLUMNS = dict.fromkeys(CLIENTS, "client") | {
    Role.PSYCHOLOGIST: "psychologist",
    Role.SUPERVISOR: "supervisor",
    Role.SUPER_ADMIN: "admin",
}
#: Whose members the clients are.
ORGANIZATION = uuid4()
PRIVATE_TEXT = "Yang hanya kita berdua tahu"
PRIVATE_NAMES = ("Dokter Rahasia", "Klien Rahasia")
_STATES = ("pending", "active", "ending_soon", "completed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What each kind of caller gets: a status of success, or the code of the refusal.

    `client`, `psychologist`: the two participants, each for what is theirs. `stranger`: a client or a
    psychologist who does not take part, and a supervisor of another organisation; `colleague`: that
    psychologist, where they get something else. A route that is about no one in particular has none: what the
    others get then goes for everybody of the kind. `admin` never takes part, and neither does `supervisor`,
    of the client's organisation. Without a token, or with one that has run out, a caller gets `anonymous`.
    """

    client: Cell
    psychologist: Cell
    supervisor: Cell
    admin: Cell
    stranger: Cell | None = None
    colleague: Cell | None = None
    anonymous: Cell = ErrorCode.UNAUTHENTICATED


FORBIDDEN, NOT_PARTICIPANT = ErrorCode.FORBIDDEN, ErrorCode.NOT_PARTICIPANT
NOT_FOUND, ILLEGAL = ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION
_EVERYBODY = Row(client=200, psychologist=200, supervisor=200, admin=200)
#: What is said between the two is no one else's affair.
_CONTENT = Row(
    client=200,
    psychologist=200,
    supervisor=NOT_PARTICIPANT,
    admin=NOT_PARTICIPANT,
    stranger=NOT_PARTICIPANT,
)
#: How a session stands may be seen by those who oversee it as well.
_STATE = Row(client=200, psychologist=200, supervisor=200, admin=200, stranger=NOT_PARTICIPANT)
_COUNSELING = Row(client=200, psychologist=200, supervisor=200, admin=200, stranger=FORBIDDEN)
#: What psychologists keep for themselves.
_PSYCHOLOGIST = Row(client=FORBIDDEN, psychologist=200, supervisor=FORBIDDEN, admin=FORBIDDEN)
#: Numbers are for those who oversee.
_OVERSEEN = Row(client=FORBIDDEN, psychologist=FORBIDDEN, supervisor=200, admin=200)
#: The service is run by administrators.
_RUN = replace(_OVERSEEN, supervisor=FORBIDDEN)
#: Anyone who has the link may open it, and a made-up one opens nothing.
_LINKED = Row(
    client=FORBIDDEN,
    psychologist=FORBIDDEN,
    supervisor=FORBIDDEN,
    admin=FORBIDDEN,
    stranger=FORBIDDEN,
    anonymous=FORBIDDEN,
)
MATRIX = {
    # First: what is booked below may be with the strange psychologist, whose client it then is.
    ("GET", "/clients/{id}/notes"): replace(_PSYCHOLOGIST, stranger=FORBIDDEN, colleague=NOT_FOUND),
    ("PUT", "/clients/{id}/notes"): replace(_PSYCHOLOGIST, stranger=FORBIDDEN, colleague=NOT_FOUND),
    ("POST", "/counselings/book"): Row(client=201, psychologist=FORBIDDEN, supervisor=FORBIDDEN, admin=201),
    ("GET", "/counselings"): _EVERYBODY,
    ("GET", "/counselings/{id}"): _COUNSELING,
    ("PUT", "/calendar"): _EVERYBODY,
    ("DELETE", "/calendar"): _EVERYBODY,
    ("GET", "/calendar.ics"): _LINKED,
    ("GET", "/chat/ably-token"): _CONTENT,
    ("POST", "/chat/messages"): replace(_CONTENT, client=201, psychologist=201),
    ("GET", "/chat/history"): _CONTENT,
    ("GET", "/chat/unread"): _EVERYBODY,
    ("POST", "/chat/typing"): _CONTENT,
    ("POST", "/chat/messages/upload"): replace(_CONTENT, client=201, psychologist=201),
    ("GET", "/chat/attachments/{id}"): _CONTENT,
    ("GET", "/chat/attachments/{id}/content"): _LINKED,
    ("GET", "/chat/sessions"): _EVERYBODY,
    ("GET", "/chat/sessions/active"): _EVERYBODY,
    ("GET", "/chat/sessions/{id}"): _STATE,
    ("PUT", "/chat/sessions/{id}/read"): _CONTENT,
    ("PUT", "/chat/sessions/{id}/extend"): replace(_CONTENT, client=FORBIDDEN),
    ("GET", "/chat/sessions/{id}/transcript"): _CONTENT,
    # They are open, and so can be moved no more.
    ("PUT", "/counselings/{id}/reschedule"): Row(
        client=ILLEGAL, psychologist=ILLEGAL, supervisor=FORBIDDEN, admin=ILLEGAL, stranger=FORBIDDEN
    ),
    # To the psychologist who has it: nothing changes; who has it and names themselves is refused.
    ("PUT", "/counselings/{id}/reassign"): Row(
        client=FORBIDDEN,
        psychologist=ErrorCode.VALIDATION_FAILED,
        supervisor=200,
        admin=200,
        stranger=FORBIDDEN,
    ),
    ("GET", "/notifications"): _EVERYBODY,
    ("PUT", "/notifications/{id}/read"): Row(
        client=NOT_FOUND, psychologist=200, supervisor=NOT_FOUND, admin=NOT_FOUND, stranger=NOT_FOUND
    ),
    ("PUT", "/notifications/read-all"): _EVERYBODY,
    ("GET", "/chat/sessions/{id}/timeline"): _STATE,
    ("GET", "/chat/sessions/{id}/diagram"): _STATE,
    ("PUT", "/people/{id}"): _RUN,
    ("POST", "/people/{id}/revoke"): _RUN,
    # One's own, whoever one is; who runs the service has it by the command line.
    ("GET", "/people/{id}/export"): replace(_RUN, client=200, admin=FORBIDDEN, stranger=FORBIDDEN),
    # No one has ever seen the person whom it is for.
    ("POST", "/people/{id}/erase"): replace(_RUN, admin=NOT_FOUND),
    ("PUT", "/people/{id}/hold"): _RUN,
    ("PUT", "/chat/sessions/{id}/hold"): _RUN,
    ("GET", "/psychologists"): _EVERYBODY,
    ("GET", "/psychologists/{id}"): _EVERYBODY,
    ("GET", "/psychologists/{id}/availability"): _EVERYBODY,
    ("PUT", "/psychologists/{id}/availability"): Row(
        client=FORBIDDEN, psychologist=200, supervisor=FORBIDDEN, admin=200, stranger=FORBIDDEN
    ),
    ("GET", "/psychologists/{id}/slots"): _EVERYBODY,
    ("GET", "/slots"): _EVERYBODY,
    ("GET", "/organization"): _EVERYBODY,
    # Also for those of whom the service knows nothing.
    ("GET", "/crisis-contacts"): replace(_EVERYBODY, anonymous=200),
    ("PUT", "/psychologists/{id}"): Row(
        client=FORBIDDEN, psychologist=FORBIDDEN, supervisor=FORBIDDEN, admin=200
    ),
    ("GET", "/quick-replies"): _PSYCHOLOGIST,
    ("POST", "/quick-replies"): replace(_PSYCHOLOGIST, psychologist=201),
    ("PUT", "/quick-replies/{id}"): replace(_PSYCHOLOGIST, stranger=FORBIDDEN, colleague=NOT_FOUND),
    # Of one that is not there, nothing is deleted, and nothing told.
    ("DELETE", "/quick-replies/{id}"): replace(_PSYCHOLOGIST, stranger=FORBIDDEN, colleague=200),
    ("GET", "/reports/organization"): _OVERSEEN,
    ("GET", "/operations/overview"): _OVERSEEN,
    ("GET", "/operations/dead-letters"): _RUN,
    ("POST", "/operations/dead-letters/retry"): _RUN,
    ("POST", "/operations/dead-letters/drop"): _RUN,
    ("GET", "/operations/dead-webhooks"): _RUN,
    ("POST", "/operations/dead-webhooks/retry"): _RUN,
    ("GET", "/operations/actions"): _RUN,
    ("GET", "/audit"): _RUN,
    ("GET", "/chat/sessions/{id}/access"): _CONTENT,
    # Last, because they end what the others need.
    ("PUT", "/chat/sessions/{id}/end"): _CONTENT,
    ("PUT", "/counselings/{id}/cancel"): replace(_COUNSELING, supervisor=FORBIDDEN),
}
#: Those that end what they are about: each has a world of its own, and each caller a session in it.
_ENDING = {("PUT", "/chat/sessions/{id}/end"), ("PUT", "/counselings/{id}/cancel")}
_ROUTES = {(route.method, route.path): route for route in ROUTES}


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert set(_ROUTES) == set(MATRIX)


def test_every_role_has_its_column() -> None:
    for role in Role:
        assert COLUMNS.get(role) in Row.__annotations__, f"tests/api/test_permissions.py: not {role}"


def test_every_refusal_of_the_matrix_is_an_error_of_its_route() -> None:
    for key, row in MATRIX.items():
        cells = (
            row.client,
            row.psychologist,
            row.supervisor,
            row.admin,
            row.stranger,
            row.colleague,
            row.anonymous,
            FORBIDDEN,
        )
        known = errors_of(_ROUTES[key])
        assert {cell for cell in cells if isinstance(cell, ErrorCode)} <= known, key
        assert all(isinstance(cell, ErrorCode) or cell is None or cell < 400 for cell in cells), key


@dataclass
class World:
    """Open sessions of one psychologist, one for each who is to do something with it."""

    psychologist: Person
    clients: dict[str, Person]
    sessions: dict[str, str]
    counselings: dict[str, str]
    attachments: dict[str, str]
    #: Of each, one of the psychologist's.
    notification: str
    quick_reply: str


async def world(service: Service) -> World:
    psychologist = await service.psychologist(PRIVATE_NAMES[0])
    clients = {
        owner: service.person(
            Role(owner) if owner in CLIENTS else Role.CLIENT,
            PRIVATE_NAMES[1],
            organization_id=ORGANIZATION,
        )
        for owner in ("client", "student", "employee", "psychologist", "admin")
    }
    starts_at = second_ahead(2)
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
    notification = (await psychologist.get("/notifications")).data["data"][0]["id"]
    kept = await psychologist.post("/quick-replies", {"title": "Salam", "text": PRIVATE_TEXT})
    return World(psychologist, clients, sessions, counselings, attachments, notification, kept.data["id"])


async def ask(person: Person, key: tuple[str, str], here: World, of: str) -> Reply:
    """Make a route's valid request for what belongs to somebody: `of` names the client it was made for."""
    ids = {
        "session": here.sessions[of],
        "counseling": here.counselings[of],
        "psychologist": str(here.psychologist.id),
        "attachment": here.attachments[of],
        "notification": here.notification,
        "quick_reply": here.quick_reply,
        "client": str(here.clients[of].id),
    }
    path, options = request_of(_ROUTES[key], ids)
    return await person.call(key[0], path, **options)


def without_token(service: Service) -> Person:
    return Person(service.client, service.base, Caller(uuid4(), Role.CLIENT, "Orang"), "")


def with_expired_token(service: Service, role: Role) -> Person:
    caller = Caller(uuid4(), role, "Orang")
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(minutes=-5))
    return Person(service.client, service.base, caller, token)


def with_another_role(service: Service) -> Person:
    """A person whom the identity provider knows, but not as one who may use the service."""
    caller = Caller(uuid4(), Role.CLIENT, "Orang")
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(minutes=5))
    other = jwt.decode(token, options={"verify_signature": False}) | {"role": "auditor"}
    return Person(service.client, service.base, caller, jwt.encode(other, SECRET, algorithm="HS256"))


def leak(reply: Reply, here: World) -> str | None:
    """Say what a refusal tells about the session that it refuses."""
    text = str(reply.json)
    secrets = (PRIVATE_TEXT, *PRIVATE_NAMES, *_STATES, *here.sessions.values(), str(here.psychologist.id))
    return next((secret for secret in secrets if secret in text), None)


async def test_every_route_answers_every_role_as_the_matrix_says(service: Service) -> None:
    here, *own = await asyncio.gather(*(world(service) for _ in range(1 + len(_ENDING))))
    worlds = dict(zip(sorted(_ENDING), own, strict=True))
    strangers = {role: service.person(role, "Orang") for role in CLIENTS}
    strangers[Role.PSYCHOLOGIST] = await service.psychologist("Orang")
    strangers[Role.SUPERVISOR] = service.person(Role.SUPERVISOR, "Orang", organization_id=uuid4())
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=ORGANIZATION)
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    nobodies = {"anonymous": without_token(service)}
    nobodies |= {f"expired {role}": with_expired_token(service, role) for role in Role}
    auditor = with_another_role(service)
    faults = []
    cells = 0

    async def check(who: str, person: Person, key: tuple[str, str], of: str, expected: Cell) -> None:
        nonlocal cells
        cells += 1
        present = worlds.get(key, here)
        reply = await ask(person, key, present, of)
        told = None
        if reply.status >= 400:
            # Those who are told why it is not possible may know how it stands.
            told = envelope_fault(reply) or (leak(reply, present) if expected is not ILLEGAL else None)
        got = ErrorCode(reply.code) if reply.status >= 400 else reply.status
        if got != expected or told:
            faults.append((*key, who, got, f"expected {expected}", told))

    for key, row in MATRIX.items():
        present = worlds.get(key, here)
        for who, person in nobodies.items():
            await check(who, person, key, "client", row.anonymous)
        is_for_all = row.anonymous == 200
        await check("another role", auditor, key, "client", 200 if is_for_all else FORBIDDEN)
        if row.stranger is not None:
            for role, person in strangers.items():
                expected = row.stranger
                if role is Role.PSYCHOLOGIST and row.colleague is not None:
                    expected = row.colleague
                await check(f"strange {role}", person, key, "client", expected)
        for role in CLIENTS:
            await check(f"own {role}", present.clients[role.value], key, role.value, row.client)
        of = "psychologist" if key in _ENDING else "client"
        await check("own psychologist", present.psychologist, key, of, row.psychologist)
        await check("supervisor", supervisor, key, of, row.supervisor)
        await check("super_admin", admin, key, "admin" if key in _ENDING else "client", row.admin)
    assert faults == []
    assert cells > len(ROUTES) * (len(Role) + 1 + len(Role))


async def test_all_but_those_who_oversee_list_only_their_own(service: Service) -> None:
    here = await world(service)
    for role in set(Role) - {Role.SUPER_ADMIN}:
        # A supervisor of no organisation, too: that the clients here are of one is not the point.
        somebody = service.person(role, "Orang")
        assert (await somebody.get("/chat/sessions")).data == {"data": [], "nextCursor": None}
        assert (await somebody.get("/chat/sessions/active")).data["data"] == []
        assert (await somebody.get("/counselings")).data == {"data": [], "nextCursor": None}
    for owner, client in here.clients.items():
        listed = (await client.get("/chat/sessions")).data["data"]
        assert [session["id"] for session in listed] == [here.sessions[owner]]
    assert len((await here.psychologist.get("/chat/sessions")).data["data"]) == 5


@pytest.mark.parametrize("role", [Role.SUPER_ADMIN, Role.SUPERVISOR])
async def test_those_who_oversee_see_state_but_never_content(service: Service, role: Role) -> None:
    here = await world(service)
    admin = service.person(role, "Admin", organization_id=ORGANIZATION)
    session_id = here.sessions["client"]
    seen = [
        await admin.get(f"/chat/sessions/{session_id}"),
        await admin.get(f"/chat/sessions/{session_id}/timeline"),
        await admin.get(f"/chat/sessions/{session_id}/diagram", format="json"),
        await admin.get(f"/counselings/{here.counselings['client']}"),
        await admin.get("/chat/sessions"),
        await admin.get("/counselings"),
    ]
    assert [reply.status for reply in seen] == [200] * 6
    assert len(seen[4].data["data"]) == len(seen[5].data["data"]) == len(here.sessions)
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
