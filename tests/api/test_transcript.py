"""The transcript over HTTP: for the two participants, in any state, whole or not at all."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from rdchat.common.errors import UnavailableError
from rdchat.domain.person import Role
from rdchat.postgres import messages
from rdchat.services import chat
from tests.support.envelope import assert_refused
from tests.support.sessions import CLOSING, OPENING, SESSION_KEYS, WELCOME, instant, opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service

EVIL = '<script>alert("1")</script>\n</p><img src=x onerror=alert(1)>'


async def transcript(person: Person, session_id: str, form: str) -> Reply:
    return await person.get(f"/chat/sessions/{session_id}/transcript", format=form)


@pytest.mark.wall_time
async def test_both_participants_read_the_same_in_every_form(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    for person, text in ((client, "Saya cemas."), (psychologist, "Ceritakan."), (client, EVIL)):
        assert (await person.say(session_id, text)).status == 201
    assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200

    whole = (await client.get(f"/chat/sessions/{session_id}/transcript")).data
    path = f"/counselings/{whole['session']['counselingId']}"
    zone = (await psychologist.get(path)).data["timezone"]
    assert set(whole) == {"session", "messages", "generatedAt"}
    assert set(whole["session"]) == SESSION_KEYS
    assert whole["session"].items() <= (await client.session(session_id)).items()
    assert whole["messages"] == await client.history(session_id)
    texts = [one["message"] for one in whole["messages"]]
    assert texts == [WELCOME, OPENING, "Saya cemas.", "Ceritakan.", EVIL, CLOSING]
    assert instant(whole["generatedAt"]) >= instant(whole["session"]["endedAt"])

    text = (await transcript(psychologist, session_id, "txt")).json
    said = instant(whole["messages"][3]["createdAt"]).astimezone(ZoneInfo(zone))
    assert f"\n{said:%H:%M}  Sari\n       Ceritakan.\n" in text
    assert f"Sari (otomatis)\n       {WELCOME}\n" in text
    assert f"{zone}, UTC" in text
    assert "  * Sesi diakhiri oleh Budi\n" in text
    assert text.index("* Chat dibuka") < text.index(OPENING) < text.index(CLOSING) < text.index("diakhiri")

    page = (await transcript(psychologist, session_id, "html")).json
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\n&lt;/p&gt;" in page
    for expected in ("Ceritakan.", WELCOME, OPENING, CLOSING, "otomatis", "diakhiri oleh <bdi>Budi</bdi>"):
        assert expected in page


async def test_how_it_is_served(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    start = in_days(30)
    session_id = await client.book_session(start, start + timedelta(hours=1))
    name = f"transkrip-{start:%Y-%m-%d}-1200"
    for form, content_type in (("json", "application/json"), ("txt", "text/plain"), ("html", "text/html")):
        reply = await transcript(client, session_id, form)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == f"{content_type}; charset=utf-8"
        assert reply.headers["Content-Disposition"] == f"inline; filename*=UTF-8''{name}.{form}"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Request-Id"]
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
    assert (await transcript(client, session_id, "json")).data["messages"] == []


@pytest.mark.parametrize(
    ("language", "lang", "empty"), [("id", "id", "Belum ada"), ("en", "en", "No messages")]
)
async def test_it_is_in_the_language_of_the_session_also_before_it_begins(
    service: Service, language: str, lang: str, empty: str
) -> None:
    await service.psychologist()
    client = service.person()
    start = in_days(30, zone="Asia/Makassar")
    session_id = await client.book_session(
        start, start + timedelta(hours=1), timezone="Asia/Makassar", language=language
    )
    page = (await transcript(client, session_id, "html")).json
    assert f'<html lang="{lang}">' in page
    assert empty in page
    text = (await transcript(client, session_id, "txt")).json
    assert empty in text
    assert "12:00\u201313:00 (Asia/Makassar, UTC+08:00)" in text


async def test_nobody_else_reads_it(service: Service) -> None:
    client, _, session_id = await opened(service)
    assert (await client.say(session_id, "Rahasia")).status == 201
    strangers = (
        service.person(name="Orang"),
        service.person(Role.PSYCHOLOGIST, "Lain"),
        service.person(Role.SUPER_ADMIN, "Admin"),
    )
    for person in strangers:
        for form in ("json", "txt", "html"):
            assert_refused(await transcript(person, session_id, form), 403, "NOT_PARTICIPANT")
    assert_refused(await transcript(client, str(uuid4()), "html"), 404, "SESSION_NOT_FOUND")
    assert_refused(await transcript(client, "nonsense", "html"), 404, "NOT_FOUND")


async def test_other_forms_are_refused(service: Service) -> None:
    client, _, session_id = await opened(service)
    for form in ("pdf", "HTML", "", "json,html"):
        reply = await transcript(client, session_id, form)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {"format"}


async def test_a_long_session_comes_in_pages_and_whole(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_TRANSCRIPT_PAGE", 7)
    client, _, session_id = await opened(service)
    replies = await asyncio.gather(*(client.say(session_id, f"Kalimat {n}.") for n in range(40)))
    assert {reply.status for reply in replies} == {201}
    history = await client.history(session_id)
    assert (await transcript(client, session_id, "json")).data["messages"] == history
    text = (await transcript(client, session_id, "txt")).json
    places = [text.index(f"       {one['message']}\n") for one in history]
    assert places == sorted(places)
    assert len(places) == 42
    page = (await transcript(client, session_id, "html")).json
    assert page.count('<p class="by">') == 42
    assert page.count("<ol>") == page.count("</ol>") == page.count("<h2>") == 1


async def test_an_answer_that_cannot_be_finished_breaks_off(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, session_id = await opened(service)
    replies = await asyncio.gather(*(client.say(session_id, f"Kalimat {n}.") for n in range(10)))
    assert {reply.status for reply in replies} == {201}
    monkeypatch.setattr(chat, "_TRANSCRIPT_PAGE", 5)
    read = messages.list_messages

    async def failing(*arguments: Any, first: int, **options: Any) -> Any:
        if first > failing_from:
            raise UnavailableError("PostgreSQL")
        return await read(*arguments, first=first, **options)

    monkeypatch.setattr(messages, "list_messages", failing)
    for form in ("json", "txt", "html"):
        failing_from = 0
        assert_refused(await transcript(client, session_id, form), 503, "UNAVAILABLE")
        failing_from = 5
        with pytest.raises(aiohttp.ClientPayloadError):
            await transcript(client, session_id, form)
    failing_from = 100
    assert (await transcript(client, session_id, "json")).status == 200


async def test_somebody_who_goes_away_while_it_is_sent_does_no_harm(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_TRANSCRIPT_PAGE", 1)
    client, _, session_id = await opened(service)
    for _ in range(5):
        assert (await client.say(session_id, "x" * 4096)).status == 201
    url = f"{service.base}/api/v1/chat/sessions/{session_id}/transcript?format=html"
    async with service.client.get(url, headers={"Authorization": f"Bearer {client.token}"}) as answer:
        await answer.content.readany()
        answer.close()
    assert (await transcript(client, session_id, "txt")).status == 200
    session = await service.runtime.chat.get_session(client.caller, UUID(session_id))
    assert session.starts_at <= datetime.now(session.starts_at.tzinfo)
