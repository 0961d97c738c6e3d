"""Recordings in the chat: sent, told to those who listen, and played, also from their middle."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from handlers.server.application import api_document
from tests.support.envelope import assert_refused
from tests.support.forms import photo, upload
from tests.support.listening import listen
from tests.support.recordings import FORMS, PLACE, TELLTALE, recording, video
from tests.support.service import Reply, Service
from tests.support.sessions import opened
from tests.support.shapes import mismatches
from tests.support.waiting import until


async def open_link(service: Service, url: str, **headers: str) -> tuple[int, bytes, Any]:
    """Open a link as a player does that knows nothing else."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as player,
        player.get(urljoin(service.base, url), headers=headers) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


async def event_of(message_id: str, heard: list[dict[str, Any]]) -> dict[str, Any]:
    await until(lambda: any(one["id"] == message_id for one in heard))
    return next(one for one in heard if one["id"] == message_id)


async def test_a_voice_message_is_sent_heard_of_and_played(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    ably, heard = await listen(psychologist, session_id)
    try:
        for form, (_, _, _, content_type) in FORMS.items():
            content = recording(form, 1.5, telling=True)
            reply = await upload(client, session_id, content, "suara.m4a", client_message_id=form)
            assert reply.status == 201, reply.json
            sent = reply.data
            assert (sent["messageType"], sent["message"]) == ("audio", "")
            attachment = sent["attachment"]
            assert attachment["contentType"] == content_type
            assert attachment["durationSeconds"] == pytest.approx(1.5, abs=0.06)
            assert "width" not in attachment
            document = api_document()
            assert not list(mismatches(document, document["components"]["schemas"]["MessageAnswer"], sent))
            status, played, headers = await open_link(service, attachment["url"])
            assert (status, len(played)) == (200, attachment["size"])
            assert TELLTALE.encode() not in played
            assert PLACE.encode() not in played
            assert headers["Content-Type"] == content_type
            assert headers["Content-Disposition"].startswith("inline; ")
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            again = await upload(client, session_id, content, "suara.m4a", client_message_id=form)
            assert (again.status, again.data["id"]) == (200, sent["id"])
            other = await upload(
                client, session_id, recording(form, 1.6), "suara.m4a", client_message_id=form
            )
            assert_refused(other, 422, "IDEMPOTENCY_MISMATCH")
            event = await event_of(sent["id"], heard)
            assert event["messageType"] == "audio"
            assert event["attachment"]["durationSeconds"] == attachment["durationSeconds"]
    finally:
        await ably.close()
    history = await psychologist.history(session_id)
    assert [one["messageType"] for one in history[2:]] == ["audio"] * len(FORMS)
    assert all(one["attachment"]["durationSeconds"] > 1 for one in history[2:])
    text = await client.get(f"/chat/sessions/{session_id}/transcript?format=json")
    assert "durationSeconds" in str(text.json)


async def test_a_video_and_a_recording_of_no_known_kind_are_refused_by_name(service: Service) -> None:
    client, _, session_id = await opened(service)
    for content, name, sentence in (
        (video(), "rekaman.m4a", "This is a video. Videos cannot be sent."),
        (video(with_sound="aac"), "rekaman.mp4", "This is a video. Videos cannot be sent."),
        (video(), "foto.jpg", "Its name says that it is an image, but it is a video. Videos cannot be sent."),
        (
            b"#!AMR\n" + bytes(100),
            "rekaman.amr",
            "This is an AMR recording. Send it as M4A, MP3, Ogg, WebM or WAV.",
        ),
        (recording("m4a")[:-300], "rekaman.m4a", "The recording is cut off in the middle, or damaged."),
    ):
        reply = await upload(client, session_id, content, name)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert reply.json["errors"] == {"file": [sentence]}


# ---- parts ------------------------------------------------------------------------------------------------


@pytest.fixture
async def sent(service: Service) -> tuple[str, bytes]:
    """A recording's link, and what it opens."""
    client, _, session_id = await opened(service)
    attachment = (await upload(client, session_id, recording("ogg"))).data["attachment"]
    _, content, _ = await open_link(service, attachment["url"])
    return attachment["url"], content


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-1", 0, 2),
        ("bytes=0-", 0, None),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, None),
        ("bytes=-10", -10, None),
        ("bytes=-99999999", 0, None),
        ("bytes=5-99999999", 5, None),
        ("Bytes=7-7", 7, 8),
    ],
)
async def test_a_part_is_given(
    service: Service, sent: tuple[str, bytes], asked: str, start: int, stop: int | None
) -> None:
    url, whole = sent
    status, part, headers = await open_link(service, url, Range=asked)
    expected = whole[start:stop]
    assert (status, part) == (206, expected)
    first = whole.index(expected) if start >= 0 else len(whole) + start
    first = start if start >= 0 else first
    assert headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
    assert headers["Content-Length"] == str(len(expected))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "audio/ogg"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=5-2",
        "bytes=-",
        "bytes=a-b",
        "bytes 0-1",
        "items=0-1",
        "",
        "bytes=٣-٤",
        "bytes=0-1;x",
        "bytes=" + "9" * 5000 + "-",
    ],
)
async def test_what_is_no_single_range_is_answered_with_the_whole(
    service: Service, sent: tuple[str, bytes], asked: str
) -> None:
    url, whole = sent
    status, content, headers = await open_link(service, url, Range=asked)
    assert (status, content) == (200, whole)
    assert headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in headers


async def test_a_range_means_nothing_to_a_head(service: Service, sent: tuple[str, bytes]) -> None:
    url, whole = sent
    async with service.client.head(urljoin(service.base, url), headers={"range": "bytes=0-1"}) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(len(whole))
        assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-100000000", "bytes=-0"])
async def test_a_part_that_there_is_not_is_refused(
    service: Service, sent: tuple[str, bytes], asked: str
) -> None:
    url, whole = sent
    async with service.client.get(urljoin(service.base, url), headers={"Range": asked}) as answer:
        reply = Reply(answer.status, await answer.json(), answer.headers)
    assert_refused(reply, 416, "RANGE_NOT_SATISFIABLE")
    assert reply.headers["Content-Range"] == f"bytes */{len(whole)}"


async def test_who_has_a_part_of_something_else_gets_the_whole(
    service: Service, sent: tuple[str, bytes]
) -> None:
    url, whole = sent
    _, _, headers = await open_link(service, url)
    tag = headers["ETag"]
    assert tag.startswith('"')
    status, part, _ = await open_link(service, url, Range="bytes=3-4", If_Range=tag)
    assert (status, part) == (206, whole[3:5])
    for other in ('"x"', f"W/{tag}", "Tue, 15 Jan 2030 07:00:00 GMT"):
        status, content, _ = await open_link(service, url, Range="bytes=3-4", If_Range=other)
        assert (status, content) == (200, whole)


async def test_parts_are_for_those_who_may_open_the_whole(service: Service, sent: tuple[str, bytes]) -> None:
    url, _ = sent
    async with service.client.get(urljoin(service.base, url[:-4]), headers={"Range": "bytes=0-1"}) as answer:
        assert_refused(Reply(answer.status, await answer.json(), answer.headers), 403, "FORBIDDEN")


async def test_of_a_picture_and_a_document_too(service: Service) -> None:
    client, _, session_id = await opened(service)
    for content in (photo(), b"Halo, apa kabar?"):
        url = (await upload(client, session_id, content)).data["attachment"]["url"]
        _, whole, _ = await open_link(service, url)
        status, part, _ = await open_link(service, url, Range="bytes=2-3")
        assert (status, part) == (206, whole[2:4])
