"""The error table of the contract: status, message, code and keys of every row, over real HTTP."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from rdchat.common.telemetry import configure_logging
from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.database_users import planting
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.raw import exchange, post
from tests.support.service import SECRET, Reply
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    import pytest

    from tests.support.service import Person, Service

START = in_days(30)
END = START + timedelta(hours=1)


async def booked(service: Service, **more: str) -> tuple[Person, Person, str]:
    psychologist = await service.psychologist()
    client = service.person()
    return client, psychologist, await client.book_session(START, END, **more)


async def test_a_chat_that_is_not_open_yet(service: Service) -> None:
    client, psychologist, session_id = await booked(service)
    expected = (400, "CHAT_NOT_ENABLED", "Chat is not enabled for this session yet")
    for person in (client, psychologist):
        assert_refused(await person.say(session_id, "Halo"), *expected)
        typing = await person.post("/chat/typing", {"sessionId": session_id, "isTyping": True})
        assert_refused(typing, *expected)


async def test_a_chat_that_is_over(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    counseling = (await client.book(START, END)).data
    session_id = counseling["chatSession"]["sessionId"]
    assert (await client.put(f"/counselings/{counseling['id']}/cancel")).status == 200
    expected = (400, "SESSION_ENDED", "Chat session has ended")
    assert_refused(await client.say(session_id, "Halo"), *expected)
    typing = await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True})
    assert_refused(typing, *expected)


async def test_a_session_that_does_not_exist(service: Service) -> None:
    client, nobody = service.person(), str(uuid4())
    replies = [
        await client.say(nobody, "Halo"),
        await client.post("/chat/typing", {"sessionId": nobody, "isTyping": True}),
        await client.get("/chat/history", sessionId=nobody),
        await client.get("/chat/ably-token", sessionId=nobody),
        await client.get(f"/chat/sessions/{nobody}"),
        await client.get(f"/chat/sessions/{nobody}/timeline"),
        await client.get(f"/chat/sessions/{nobody}/diagram"),
        await client.put(f"/chat/sessions/{nobody}/end"),
    ]
    for reply in replies:
        assert_refused(reply, 404, "SESSION_NOT_FOUND", "Chat session not found")


async def test_somebody_elses_session(service: Service) -> None:
    _, _, session_id = await booked(service)
    stranger = service.person(name="Orang")
    replies = [
        await stranger.say(session_id, "Halo"),
        await stranger.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
        await stranger.get("/chat/history", sessionId=session_id),
        await stranger.get("/chat/ably-token", sessionId=session_id),
        await stranger.get(f"/chat/sessions/{session_id}"),
        await stranger.put(f"/chat/sessions/{session_id}/end"),
    ]
    for reply in replies:
        assert_refused(reply, 403, "NOT_PARTICIPANT", "You are not a participant in this chat session")


async def test_no_token(service: Service) -> None:
    async with service.client.get(f"{service.base}/api/v1/chat/sessions") as answer:
        reply = Reply(answer.status, await answer.json(), answer.headers)
    assert_refused(reply, 401, "UNAUTHENTICATED", "Authentication required")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_role_that_may_not(service: Service) -> None:
    psychologist, client = await service.psychologist(), service.person()
    expected = (403, "FORBIDDEN", "You do not have permission to do this")
    assert_refused(await psychologist.book(START, END), *expected)
    assert_refused(await client.put(f"/psychologists/{uuid4()}", {"fullName": "Saya"}), *expected)


@spoken.both
async def test_a_bad_body_and_a_bad_query(service: Service) -> None:
    client = service.person()
    body = await client.post("/chat/messages", {"sessionId": "x", "message": 5})
    assert_refused(body, 400, "VALIDATION_FAILED", "Validation failed")
    assert set(body.json["errors"]) == {"sessionId", "message"}
    query = await client.get("/chat/history", sessionId=str(uuid4()), limit=101)
    assert_refused(query, 400, "VALIDATION_FAILED", "Validation failed")
    assert set(query.json["errors"]) == {"limit"}


async def test_a_client_who_is_busy_then(service: Service) -> None:
    client, _, _ = await booked(service)
    await service.psychologist("Maya")
    reply = await client.book(START, END)
    assert_refused(reply, 409, "CLIENT_LIMIT", "You already have a counseling at this time")


async def test_a_psychologist_who_is_full_then(service: Service) -> None:
    psychologist = await service.psychologist()
    for _ in range(5):
        await service.person().book_session(START, END, psychologistId=str(psychologist.id))
    reply = await service.person().book(START, END, psychologistId=str(psychologist.id))
    assert_refused(reply, 409, "PSYCHOLOGIST_LIMIT", "Psychologist is at capacity at this time")


async def test_nobody_who_is_free_then(service: Service) -> None:
    reply = await service.person().book(START, END)
    assert_refused(reply, 409, "NO_PSYCHOLOGIST", "No psychologist is available at this time")


async def test_a_transition_that_is_not_possible_names_the_state(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    counseling = (await client.book(START, END)).data
    session_id = counseling["chatSession"]["sessionId"]
    ended = await client.put(f"/chat/sessions/{session_id}/end")
    assert_refused(ended, 409, "ILLEGAL_TRANSITION")
    assert "pending" in ended.json["message"]
    await client.put(f"/counselings/{counseling['id']}/cancel")
    ended = await client.put(f"/chat/sessions/{session_id}/end")
    assert_refused(ended, 409, "ILLEGAL_TRANSITION")
    assert "cancelled" in ended.json["message"]


async def test_a_body_that_is_too_large(service: Service) -> None:
    reply = await service.person().say(str(uuid4()), "a" * 200_000)
    assert_refused(reply, 413, "PAYLOAD_TOO_LARGE")


@spoken.both
async def test_a_path_that_does_not_exist(service: Service) -> None:
    client = service.person()
    for path in ("/nothing", "/chat", "/chat/sessions/", "/counselings/x/y", "/%00", "/%ff"):
        assert_refused(await client.call("GET", path), 404, "NOT_FOUND")
    for path in ("/chat/sessions/not-an-id", "/counselings/%00", "/psychologists/%ff"):
        assert_refused(await client.call("GET", path), 404)


async def test_a_method_that_does_not_exist(service: Service) -> None:
    client = service.person()
    reply = await client.call("DELETE", "/chat/messages")
    assert_refused(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["Allow"] == "POST"
    assert_refused(await client.call("PATCH", "/chat/history"), 405, "METHOD_NOT_ALLOWED")
    assert_refused(await client.call("POST", "/counselings"), 405, "METHOD_NOT_ALLOWED")


async def test_a_request_id_is_taken_over_when_it_is_harmless(service: Service) -> None:
    client = service.person()
    path = f"/chat/sessions/{uuid4()}"
    mine = await client.call("GET", path, headers={"X-Request-Id": "abc-123"})
    assert_refused(mine, 404)
    assert mine.json["requestId"] == mine.headers["X-Request-Id"] == "abc-123"
    for given in ("x" * 65, "a b", "<script>"):
        reply = await client.call("GET", path, headers={"X-Request-Id": given})
        assert_refused(reply, 404)
        assert reply.json["requestId"] != given


# ---- what arrives before any handler of ours sees it ------------------------------------------------------


async def test_a_query_of_impossible_bytes_is_refused_in_the_envelope(service: Service) -> None:
    token = service.person().token
    faults = {}
    for query in ("%ff=1", "limit=%ff", "%ed%a0%80=1", "limit=%ed%a0%80", "%00=1", "limit=%00", "=", "&&&=&"):
        request = (
            f"GET /api/v1/chat/sessions?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        fault = envelope_fault(await exchange(service.base, request.encode()))
        if fault is not None:
            faults[query] = fault
    assert faults == {}


async def test_a_body_that_lies_about_its_compression_is_refused_in_the_envelope(service: Service) -> None:
    token, body = service.person().token, b"not compressed at all"
    faults = {}
    for encoding in ("gzip", "deflate", "br", "zstd", "nonsense"):
        headers = (f"Content-Length: {len(body)}", f"Content-Encoding: {encoding}")
        fault = envelope_fault(await exchange(service.base, post("/chat/messages", token, body, *headers)))
        if fault is not None:
            faults[encoding] = fault
    assert faults == {}


async def test_an_unknown_expectation_is_refused_in_the_envelope(service: Service) -> None:
    client = service.person()
    reply = await client.call("GET", "/chat/sessions", headers={"Expect": "the-unexpected"})
    assert_refused(reply)


async def test_what_the_http_parser_refuses_has_the_envelope_too(service: Service) -> None:
    get = b"GET /api/v1/chat/sessions HTTP/1.1\r\nHost: x\r\n"
    requests = {
        "a header that is too long": get + b"Authorization: Bearer " + b"a" * 20_000 + b"\r\n\r\n",
        "a path that is too long": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "a line that is no header": get + b"No colon here\r\n\r\n",
        "no HTTP": b"this is not HTTP\r\n\r\n",
        "broken chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    }
    faults = {name: envelope_fault(await exchange(service.base, one)) for name, one in requests.items()}
    assert not any(faults.values()), faults


async def test_methods_that_nobody_knows_do_not_grow_the_metrics(service: Service) -> None:
    for number in range(30):
        async with service.client.request(f"ODD{number}", f"{service.base}/api/v1/counselings") as answer:
            assert answer.status in (400, 405)
    async with service.client.get(f"{service.base}/metrics") as answer:
        page = await answer.text()
    methods = set(re.findall(r'rdchat_http_request_seconds_count{method="(\w+)"', page))
    assert len(methods) < 10, methods


async def test_a_caller_who_hangs_up_leaves_the_service_well(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 600, 60)
    request = post("/chat/messages", client.token, b'{"sessionId"', "Content-Length: 5000")
    port = int(service.base.rpartition(":")[2])
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await writer.drain()
        writer.transport.abort()

    async def answers() -> bool:
        return (await client.session(session_id))["status"] == "pending"

    assert await until(answers, 5)


async def test_an_administrator_gets_the_same_words(service: Service) -> None:
    _, _, session_id = await booked(service)
    admin = service.person(Role.SUPER_ADMIN)
    assert_refused(await admin.say(session_id, "Halo"), 403, "NOT_PARTICIPANT")


async def test_an_unexpected_failure_logs_nothing_that_people_wrote(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 1, 60)

    async def is_open() -> bool:
        return (await client.session(session_id))["isChatEnabled"]

    await until(is_open)
    pool = service.runtime.pool
    before = structlog.get_config()
    configure_logging("text")
    try:
        async with planting(pool) as owner:
            for table in ("outbox", "messages"):
                await owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
        booking = await client.book(START, END, notes="RAHASIA-CATATAN")
        said = await client.say(session_id, "RAHASIA-PESAN")
    finally:
        structlog.configure(**before)
    assert (booking.status, said.status) == (500, 500)
    logged = capsys.readouterr().err
    assert "broken" in logged, "the failure itself is to be found in the log"
    shown = [text for text in ("RAHASIA-CATATAN", "RAHASIA-PESAN", SECRET, client.token) if text in logged]
    assert shown == []
