"""Files in the chat: sent with a message, opened by a link, and by no one else."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from PIL import Image

from handlers.http import forms
from handlers.server.application import api_document
from rdchat.common.clock import SystemClock
from rdchat.common.errors import UnavailableError
from rdchat.files.links import Links
from tests.support import spoken
from tests.support.bucket import BUCKET, s3_server
from tests.support.envelope import assert_refused
from tests.support.forms import photo, upload
from tests.support.listening import listen
from tests.support.service import ENCRYPTION_KEY, Reply, Service, service_settings
from tests.support.sessions import opened
from tests.support.shapes import mismatches
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from rdchat.files.examiner import Examined, Upload
    from tests.support.service import Person

UPLOAD = "/chat/messages/upload"
#: The service of the tests takes files of a MiB.
LARGEST = 1024 * 1024
TEXT = b"Yang hanya kita berdua tahu"


class Later:
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return SystemClock().now() + self._ahead

    def ms(self) -> float:
        return SystemClock().ms() + self._ahead.total_seconds() * 1000


async def open_link(url: str) -> tuple[int, bytes, Any]:
    """Open a link as a browser does that knows nothing else."""
    async with aiohttp.ClientSession() as browser, browser.get(url) as answer:
        return answer.status, await answer.read(), answer.headers


async def refused_link(service: Service, url: str) -> Reply:
    async with service.client.get(url) as answer:
        return Reply(answer.status, await answer.json(), answer.headers)


@pytest.fixture
def objects(tmp_path: Path) -> Callable[[], list[Path]]:
    """What lies in the storage."""
    return lambda: [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]


async def rows(database_url: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(database_url)
    try:
        return [dict(row) for row in await connection.fetch("SELECT * FROM attachments ORDER BY created_at")]
    finally:
        await connection.close()


# ---- sending and opening ----------------------------------------------------------------------------------


async def test_a_picture_is_sent_seen_in_the_history_and_opened(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    reply = await upload(
        client, session_id, photo(form="JPEG"), "foto.exe", caption="Ini", client_message_id="a"
    )
    assert reply.status == 201, reply.json
    sent = reply.data
    assert (sent["message"], sent["messageType"], sent["seq"], sent["clientMessageId"]) == (
        "Ini",
        "image",
        3,
        "a",
    )
    attachment = sent["attachment"]
    assert attachment["fileName"] == "foto.exe.jpg"
    assert (attachment["contentType"], attachment["width"], attachment["height"]) == ("image/jpeg", 60, 40)
    document = api_document()
    shape = document["components"]["schemas"]["MessageAnswer"]
    assert not list(mismatches(document, shape, sent))
    for person in (client, psychologist):
        shown = (await person.history(session_id))[-1]
        assert {**shown, "attachment": None} == {**sent, "attachment": None}
        own = shown["attachment"]
        link = (await person.get(f"/chat/attachments/{attachment['id']}")).data
        for one in (own, link):
            assert one | {"url": "", "expiresAt": ""} == attachment | {"url": "", "expiresAt": ""}
            status, content, headers = await open_link(one["url"])
            assert (status, len(content)) == (200, attachment["size"])
            assert headers["Content-Length"] == str(attachment["size"])
            assert headers["Content-Type"] == "image/jpeg"
            assert headers["Content-Disposition"] == "inline; filename*=UTF-8''foto.exe.jpg"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert headers["Cache-Control"] == "private, no-store"
            picture = Image.open(io.BytesIO(content))
            assert (picture.format, picture.size) == ("JPEG", (60, 40))


async def test_a_text_is_a_file_whatever_it_is_called(service: Service) -> None:
    client, _, session_id = await opened(service)
    sent = (await upload(client, session_id, TEXT, "index.html")).data
    assert (sent["messageType"], sent["message"]) == ("file", "")
    assert "clientMessageId" not in sent
    attachment = sent["attachment"]
    assert set(attachment) == {"id", "fileName", "contentType", "size", "url", "expiresAt"}
    assert (attachment["fileName"], attachment["contentType"]) == ("index.html.txt", "text/plain")
    status, content, headers = await open_link(attachment["url"])
    assert (status, content) == (200, TEXT)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Disposition"].startswith("attachment; ")
    # A message without a file has no such field.
    assert "attachment" not in (await client.say(session_id, "Halo")).data


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('catatan "penting"\r\nX-Evil: 1.txt', 'catatan "penting" X-Evil: 1.txt'),
        ("日記 😴; filename=evil.exe.txt", "日記 😴; filename=evil.exe.txt"),
        ("../../../etc/passwd", "passwd.txt"),
        ("halo\u202etxt.exe", "halotxt.exe.txt"),
    ],
)
async def test_names_come_back_cleaned_and_break_no_header(service: Service, given: str, kept: str) -> None:
    client, _, session_id = await opened(service)
    reply = await upload(client, session_id, TEXT, given)
    assert reply.status == 201, reply.json
    attachment = reply.data["attachment"]
    assert attachment["fileName"] == kept
    status, content, headers = await open_link(attachment["url"])
    assert (status, content) == (200, TEXT)
    assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{quote(kept, safe='')}"
    assert "X-Evil" not in headers


async def test_nothing_lies_about_in_the_clear(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, _, session_id = await opened(service)
    assert (await upload(client, session_id, TEXT, "rahasia.txt", caption="Sst")).status == 201
    (path,) = objects()
    assert TEXT not in path.read_bytes()
    (row,) = await rows(database_url)
    assert b"rahasia" not in row["file_name"]


async def test_an_object_in_the_place_of_another_does_not_open(
    service: Service, objects: Callable[[], list[Path]]
) -> None:
    client, _, session_id = await opened(service)
    sent = [
        (await upload(client, session_id, TEXT + b"%d" % n, "a.txt")).data["attachment"] for n in range(2)
    ]
    one, other = objects()
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    for attachment in sent:
        assert_refused(await refused_link(service, attachment["url"]), 404, "NOT_FOUND")


async def test_files_of_several_at_once_are_numbered_without_gap(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, psychologist, session_id = await opened(service)
    people = (client, psychologist, client, psychologist, client)
    replies = await asyncio.gather(
        *(upload(one, session_id, photo(20 + n, 20), caption=f"{n}") for n, one in enumerate(people)),
        *(client.say(session_id, f"pesan {n}") for n in range(5)),
    )
    assert {reply.status for reply in replies} == {201}
    assert sorted(reply.data["seq"] for reply in replies) == list(range(3, 13))
    history = await psychologist.history(session_id)
    assert [one["seq"] for one in history] == list(range(1, 13))
    widths = {one["message"]: one["attachment"]["width"] for one in history if "attachment" in one}
    assert widths == {f"{n}": 20 + n for n in range(5)}
    assert len(objects()) == 5
    assert [row["message_id"] is not None for row in await rows(database_url)] == [True] * 5


@spoken.ours_alone("the app reads a file's link from the event")
async def test_whoever_listens_hears_of_the_file_once_and_gets_no_link(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    ably, heard = await listen(psychologist, session_id)
    try:
        sent = (await upload(client, session_id, photo(), caption="Ini", client_message_id="a")).data
        again = await upload(client, session_id, photo(), caption="Ini", client_message_id="a")
        assert again.status == 200
        last = (await client.say(session_id, "Sudah?")).data
        await until(lambda: any(one["id"] == last["id"] for one in heard))
    finally:
        await ably.close()
    (event,) = [one for one in heard if one["id"] == sent["id"]]
    assert (event["content"], event["messageType"]) == ("Ini", "image")
    assert set(event["attachment"]) == {"id", "fileName", "contentType", "size", "width", "height"}
    assert event["attachment"].items() <= sent["attachment"].items()
    assert "token" not in str(event)


# ---- repeating --------------------------------------------------------------------------------------------


async def test_a_repeated_client_message_id_gives_the_first_and_keeps_nothing_more(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, psychologist, session_id = await opened(service)
    replies = await asyncio.gather(
        *(upload(client, session_id, photo(20, 20), client_message_id="a") for _ in range(5))
    )
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 4}
    assert len({reply.data["attachment"]["id"] for reply in replies}) == 1
    (first,) = [reply.data for reply in replies if reply.status == 201]
    (path,) = objects()
    assert path.name == first["attachment"]["id"]
    assert len(await rows(database_url)) == 1
    # Also when the chat is over: it was sent before.
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    again = await upload(client, session_id, photo(20, 20), client_message_id="a")
    assert (again.status, again.data["id"]) == (200, first["id"])
    assert_refused(await upload(client, session_id, photo(), client_message_id="b"), 400, "SESSION_ENDED")
    assert len(objects()) == 1


async def test_a_client_message_id_with_another_file_or_other_words_is_refused(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, psychologist, session_id = await opened(service)
    first = await upload(client, session_id, TEXT, "a.txt", caption="Ini", client_message_id="a")
    other = bytes([TEXT[0] ^ 1]) + TEXT[1:]
    cases: list[tuple[bytes, str, str | None]] = [
        (other, "a.txt", "Ini"),
        (TEXT + b"!", "a.txt", "Ini"),
        (TEXT, "b.txt", "Ini"),
        (TEXT, "a.txt", "Itu"),
        (TEXT, "a.txt", None),
        (photo(), "a.txt", "Ini"),
    ]

    async def check() -> None:
        for content, name, caption in cases:
            refused = await upload(client, session_id, content, name, caption=caption, client_message_id="a")
            assert_refused(refused, 422, "IDEMPOTENCY_MISMATCH")
        assert_refused(await client.say(session_id, "Ini", "a"), 422, "IDEMPOTENCY_MISMATCH")
        again = await upload(client, session_id, TEXT, "a.txt", caption="Ini", client_message_id="a")
        assert (again.status, again.data["id"]) == (200, first.data["id"])

    await check()
    contents = [TEXT, other] * 4
    replies = await asyncio.gather(
        *(upload(client, session_id, content, "a.txt", client_message_id="b") for content in contents)
    )
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 3, 422: 4}
    sent = next(content for content, reply in zip(contents, replies, strict=True) if reply.status == 201)
    assert [reply.status < 300 for reply in replies] == [content == sent for content in contents]
    # What was refused is not kept.
    assert len(objects()) == len(await rows(database_url)) == 2
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    await check()
    assert len(objects()) == len(await rows(database_url)) == 2


async def test_a_repeated_picture_is_the_same_picture(service: Service) -> None:
    """It is written again each time: the same bytes have to come of it."""
    client, _, session_id = await opened(service)
    for form in ("PNG", "JPEG", "WEBP", "HEIF", "AVIF", "GIF"):
        first, again = [
            await upload(client, session_id, photo(form=form), client_message_id=form) for _ in range(2)
        ]
        assert (first.status, again.status) == (201, 200)
        refused = await upload(client, session_id, photo(61, form=form), client_message_id=form)
        assert_refused(refused, 422, "IDEMPOTENCY_MISMATCH")


async def test_an_id_that_a_text_has_taken_is_no_files(
    service: Service, objects: Callable[[], list[Path]]
) -> None:
    client, _, session_id = await opened(service)
    await client.say(session_id, "Halo", "a")
    for caption in (None, "Halo"):
        refused = await upload(client, session_id, photo(), caption=caption, client_message_id="a")
        assert_refused(refused, 422, "IDEMPOTENCY_MISMATCH")
    assert objects() == []


# ---- who may ----------------------------------------------------------------------------------------------


async def test_links_are_for_one_attachment_and_one_person_and_expire(service: Service) -> None:
    client, _, session_id = await opened(service)
    one, other = [(await upload(client, session_id, photo())).data["attachment"] for _ in range(2)]
    path, _, token = one["url"].partition("?token=")
    theirs = UUID(one["id"])
    expired = Links([ENCRYPTION_KEY], Later(timedelta(minutes=-5, seconds=-1))).sign(theirs, client.id).token
    forged = Links([b"x" * 32], SystemClock()).sign(theirs, client.id).token
    foreign = Links([ENCRYPTION_KEY], SystemClock()).sign(theirs, uuid4()).token
    swapped = other["url"].partition("?token=")[2]
    changed = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for bad in (expired, forged, foreign, swapped, changed, "x", token + "A", token[:-4]):
        reply = await refused_link(service, f"{path}?token={bad}")
        assert_refused(reply, 403, "FORBIDDEN")
        assert one["fileName"] not in str(reply.json)
    for query in ("", "?token=", f"?token={token}&token={token}", "?utm_source=chat"):
        assert_refused(await refused_link(service, path + query), 400, "VALIDATION_FAILED")
    assert (await open_link(one["url"]))[0] == 200


async def test_what_others_add_to_a_link_does_not_matter(service: Service) -> None:
    client, _, session_id = await opened(service)
    url = (await upload(client, session_id, photo())).data["attachment"]["url"]
    for added in ("&utm_source=chat", "&fbclid=1&fbclid=2", "&a", "&=&", "&a=%00", "&a=%ff", "&%00=1"):
        assert (await open_link(url + added))[0] == 200, added
    # Elsewhere it may be a misspelt parameter, so it is refused.
    link = await client.get(f"/chat/attachments/{url.split('/')[-2]}", utm_source="chat")
    assert_refused(link, 400, "VALIDATION_FAILED")


async def test_strangers_get_no_link(service: Service) -> None:
    client, _, session_id = await opened(service)
    attachment = (await upload(client, session_id, photo())).data["attachment"]
    path = f"/chat/attachments/{attachment['id']}"
    assert_refused(await service.person().get(path), 403, "NOT_PARTICIPANT")
    assert_refused(await client.get(f"/chat/attachments/{uuid4()}"), 404, "NOT_FOUND")
    assert_refused(await client.get("/chat/attachments/x"), 404, "NOT_FOUND")


async def never_ending(session_id: str, sent: list[int], *, file_first: bool = False) -> AsyncIterator[bytes]:
    """An upload that goes on as long as somebody listens."""
    session = f'--b\r\nContent-Disposition: form-data; name="sessionId"\r\n\r\n{session_id}\r\n'.encode()
    if not file_first:
        yield session
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    while True:
        yield b"x" * 65536
        sent.append(65536)
        await asyncio.sleep(0.001)


async def send_raw(person: Person, body: Any, **headers: str) -> Reply:
    kind = {"Content-Type": "multipart/form-data; boundary=b", **headers}
    return await person.call("POST", UPLOAD, data=body, headers=kind)


async def test_who_may_not_send_is_told_before_the_file_is_read(service: Service) -> None:
    await service.psychologist()
    client, stranger = service.person(), service.person(name="Orang")
    pending = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    for person, session_id, status, code in (
        (client, pending, 400, "CHAT_NOT_ENABLED"),
        (stranger, pending, 403, "NOT_PARTICIPANT"),
        (client, str(uuid4()), 404, "SESSION_NOT_FOUND"),
        (client, "x", 400, "VALIDATION_FAILED"),
    ):
        sent: list[int] = []
        assert_refused(await send_raw(person, never_ending(session_id, sent)), status, code)
        # The client's and the server's buffers are all that it got rid of.
        assert sum(sent) < LARGEST * 8


async def test_a_chat_that_ends_meanwhile_keeps_nothing(
    service: Service,
    database_url: str,
    objects: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, psychologist, session_id = await opened(service)
    examine = service.runtime.attachments.examiner.examine

    async def examine_until_the_end(given: Upload) -> Examined:
        assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
        return await examine(given)

    monkeypatch.setattr(service.runtime.attachments.examiner, "examine", examine_until_the_end)
    assert_refused(await upload(client, session_id, photo()), 400, "SESSION_ENDED")
    assert objects() == []
    assert await rows(database_url) == []
    assert [one["messageType"] for one in await client.history(session_id)] == ["automated"] * 3


# ---- what is refused --------------------------------------------------------------------------------------


async def test_what_may_not_be_sent_is_refused_on_the_field(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, _, session_id = await opened(service)
    for content, name in (
        (b"", "kosong.txt"),
        (b"MZ" + b"\0" * 100, "foto.png"),
        (b"<html><script>alert(1)</script></html>", "catatan.txt"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "gambar.svg"),
        (b"#!/bin/sh\n", "a.txt"),
        (photo()[:60], "foto.png"),
        (photo(8001, 8000, mode="1"), "besar.png"),
        (b"PK\x03\x04" + b"\0" * 100, "a.docx"),
    ):
        reply = await upload(client, session_id, content, name)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert list(reply.json["errors"]) == ["file"], (name, reply.json)
    assert (len(objects()), await rows(database_url)) == (0, [])
    assert len(await client.history(session_id)) == 2


@spoken.ours_alone("the app names kinds of files that we do not; they are overlooked")
async def test_forms_are_read_strictly(service: Service) -> None:
    client, _, session_id = await opened(service)

    def part(name: str, value: bytes = b"Halo", more: str = "") -> bytes:
        return (
            f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        )

    session, file, end = (
        part("sessionId", session_id.encode()),
        part("file", more='; filename="a"'),
        b"--b--\r\n",
    )
    for body, field in (
        (session + end, "file"),
        (file + end, "sessionId"),
        (session + file + part("lain") + end, "lain"),
        (session + session + file + end, "sessionId"),
        (session + file + file + end, "file"),
        (part("sessionId", b"x") + file + end, "sessionId"),
        (part("sessionId", session_id.encode(), '; filename="a"') + file + end, "sessionId"),
        (session + part("message", b"x" * 501) + file + end, "message"),
        (session + part("message", b"x" * 20_000) + file + end, "message"),
        (session + part("message", b"\xff") + file + end, "message"),
        (session + part("message", b"a\0b") + file + end, "message"),
        (session + part("clientMessageId", b"") + file + end, "clientMessageId"),
        (session + part("messageType", b"text") + file + end, "messageType"),
        (session + part("messageType", b"") + file + end, "messageType"),
        (session + part("clientMessageId", b"x" * 129) + file + end, "clientMessageId"),
        (session + part("") + file + end, "body"),
        (session + b"--b\r\n\r\nHalo\r\n" + file + end, "body"),
        (session + b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n" + end, "body"),
        (session + part("file", more='; filename="a"\r\nContent-Transfer-Encoding: base64') + end, "file"),
        (session + file, "body"),
        (session + file[:-2], "body"),
        (b"", "body"),
        (b"Halo", "body"),
        (session + b"--b\r\n" + b"X: y\r\n" * 50 + b"\r\n" + end, "body"),
        (session + b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\n" + end, "body"),
    ):
        reply = await send_raw(client, body)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert list(reply.json["errors"]) == [field], (body[-200:], reply.json)
    for headers in (
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/mixed; boundary=b"},
        {"Content-Type": f"multipart/form-data; boundary={'b' * 80}"},
        {"Content-Encoding": "gzip"},
    ):
        body = session + file + end
        packed = gzip.compress(body) if "Content-Encoding" in headers else body
        reply = await send_raw(client, packed, **headers)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert list(reply.json["errors"]) == ["body"], headers
    # In whatever order, and with an empty caption, as forms send them.
    assert (await send_raw(client, part("file") + part("message", b"") + session + end)).status == 201
    # What a client takes it for decides nothing.
    for taken_for in (b"file", b"image", b"audio"):
        sent = await send_raw(client, session + part("messageType", taken_for) + file + end)
        assert (sent.status, sent.data["messageType"]) == (201, "file")
    assert len(await client.history(session_id)) == 6


@pytest.mark.parametrize("file_first", [True, False])
async def test_too_large_is_noticed_while_it_comes(service: Service, file_first: bool) -> None:  # noqa: FBT001
    client, _, session_id = await opened(service)
    sent: list[int] = []
    reply = await send_raw(client, never_ending(session_id, sent, file_first=file_first))
    assert_refused(reply, 413, "PAYLOAD_TOO_LARGE")
    assert sum(sent) < LARGEST * 8


async def test_the_bounds_of_size(service: Service) -> None:
    client, _, session_id = await opened(service)
    assert (await upload(client, session_id, b"x" * LARGEST, "a.txt")).data["attachment"]["size"] == LARGEST
    refused = await upload(client, session_id, b"x" * (LARGEST + 1), "a.txt")
    assert_refused(refused, 413, "PAYLOAD_TOO_LARGE")
    assert refused.json["message"] == "The file is too large: 1 MiB at most"
    # Said beforehand, it is not even begun to be read.
    headers = {"Content-Length": str(10**12)}
    assert_refused(await send_raw(client, never_ending(session_id, []), **headers), 413, "PAYLOAD_TOO_LARGE")
    # Other routes have the bound that they had.
    reply = await client.post("/chat/messages", {"sessionId": session_id, "message": "x" * 70_000})
    assert_refused(reply, 413, "PAYLOAD_TOO_LARGE")


async def test_who_stops_in_the_middle_is_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, session_id = await opened(service)
    gone = asyncio.Event()

    async def stopping() -> AsyncIterator[bytes]:
        parts = never_ending(session_id, [])
        for _ in range(3):
            yield await anext(parts)
        await gone.wait()

    for name, seconds in (("_STALLED_SECONDS", 0.2), ("_WHOLE_SECONDS", 0.4)):
        with monkeypatch.context() as shorter:
            shorter.setattr(forms, name, seconds)
            reply = await send_raw(client, stopping())
            assert_refused(reply, 400, "VALIDATION_FAILED")
            assert list(reply.json["errors"]) == ["body"]
    assert (await upload(client, session_id, photo())).status == 201


async def test_uploads_together_take_up_so_much_memory_and_no_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, session_id = await opened(service)
    monkeypatch.setattr(forms, "_ALL_BYTES", 100_000)
    for _ in range(3):
        reply = await upload(client, session_id, b"x" * 100_001, "a.txt")
        assert_refused(reply, 503, "UNAVAILABLE")
        assert reply.headers["Retry-After"] == "1"
        # What was refused, and what was taken, takes up nothing any more.
        assert (await upload(client, session_id, b"x" * 100_000, "a.txt")).status == 201
        assert_refused(await upload(client, session_id, b"MZ\0" * 30_000), 400, "VALIDATION_FAILED")


async def test_an_upload_that_breaks_off_leaves_nothing(
    service: Service, database_url: str, objects: Callable[[], list[Path]]
) -> None:
    client, _, session_id = await opened(service)
    sent: list[int] = []
    task = asyncio.create_task(send_raw(client, never_ending(session_id, sent)))
    await until(lambda: sent)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await upload(client, session_id, photo())).status == 201
    assert len(objects()) == len(await rows(database_url)) == 1


# ---- faults -----------------------------------------------------------------------------------------------


async def test_what_was_left_behind_is_taken_away_and_what_was_sent_is_not(
    service: Service,
    database_url: str,
    objects: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, _, session_id = await opened(service)
    kept = (await upload(client, session_id, photo())).data["attachment"]
    files = service.runtime.attachments

    async def lost(*_: Any, **__: Any) -> Any:
        raise UnavailableError("engine")

    # The outcome of a commit is unknown: the object may be needed, and stays.
    with monkeypatch.context() as faults:
        faults.setattr(service.runtime.engine, "submit", lost)
        assert_refused(await upload(client, session_id, photo()), 503, "UNAVAILABLE")
    assert len(objects()) == 2
    # The storage is away: there is a row, and perhaps an object.
    with monkeypatch.context() as faults:
        faults.setattr(files.files.storage, "put", lost)
        assert_refused(await upload(client, session_id, photo()), 503, "UNAVAILABLE")
    assert len(await rows(database_url)) == 3
    assert await files.sweep() == 0
    files.clock = Later(timedelta(minutes=61))
    with monkeypatch.context() as faults:
        faults.setattr(files.files.storage, "delete", lost)
        with pytest.raises(UnavailableError):
            await files.sweep()
    assert len(await rows(database_url)) == 3
    assert await files.sweep() == 2
    assert [path.name for path in objects()] == [kept["id"]]
    assert [str(row["id"]) for row in await rows(database_url)] == [kept["id"]]
    assert (await open_link(kept["url"]))[0] == 200


async def test_a_message_whose_file_was_taken_away_meanwhile_is_not_sent(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, session_id = await opened(service)
    files = service.runtime.attachments
    put = files.files.storage.put

    async def put_and_pause(key: str, content: bytes) -> None:
        # An hour goes by, in which another replica cleans up.
        await put(key, content)
        files.clock = Later(timedelta(minutes=61))
        assert await files.sweep() == 1

    monkeypatch.setattr(files.files.storage, "put", put_and_pause)
    assert (await upload(client, session_id, photo())).status == 500
    assert await rows(database_url) == []
    assert len(await client.history(session_id)) == 2
    # And the chat goes on.
    assert (await client.say(session_id, "Halo")).data["seq"] == 3


async def test_files_lie_in_a_bucket_where_one_is_set(
    database_url: str, redis_url: str, tmp_path: Path, objects: Callable[[], list[Path]]
) -> None:
    with s3_server() as address:
        settings = service_settings(
            tmp_path,
            storage_url=f"s3://{BUCKET}/chat",
            s3_endpoint=address,
            s3_region="us-east-1",
            s3_access_key_id="key",
            s3_secret_access_key="secret",
        )
        async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
            client, psychologist, session_id = await opened(service)
            attachment = (await upload(client, session_id, TEXT, "a.txt")).data["attachment"]
            (shown,) = [one for one in await psychologist.history(session_id) if "attachment" in one]
            assert (await open_link(shown["attachment"]["url"]))[:2] == (200, TEXT)
            # Where it lies it is of no use to anybody.
            path = f"{address}/{BUCKET}/chat/{session_id}/{attachment['id']}"
            async with service.client.get(path) as answer:
                assert TEXT not in await answer.read()
            assert objects() == []
