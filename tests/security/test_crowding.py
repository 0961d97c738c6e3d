"""One who says nothing, drips, stalls or asks for everything at once stops nobody else.

Each attack is small, and a person goes on chatting beside it: what they send must be taken while the attack
lasts. What got through is an attacker who was not cut or refused, or a person who was.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from handlers.http import protocol, unsent
from handlers.http.strangers import Strangers
from handlers.server import application
from rdchat.common.errors import UnavailableError
from rdchat.operations.rasterising import Rasteriser
from rdchat.security.encryption import DecryptionError, Encryptor
from rdchat.security.sealed_files import SealedFiles
from rdchat.services.chat import ChatService
from tests.support.forms import upload
from tests.support.objects import ObjectsInMemory
from tests.support.peers import Peer, head, peers
from tests.support.service import Service, service_settings
from tests.support.sessions import opened
from tests.support.waiting import until
from tests.support.world import a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from rdchat.domain.person import Caller
    from tests.support.attacks import Attacks
    from tests.support.service import Person

#: Places for requests that change something.
PLACES = 4
SAY = "/api/v1/chat/messages"
_JSON = "Content-Type: application/json"
#: Bytes of a stored file before its first segment.
_HEAD = 31
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="1"><rect width="1" height="1"/></svg>'


@pytest.fixture
def _hurried_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are not waited for long."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)


@pytest.fixture
def _hurried_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are not waited for long."""
    monkeypatch.setattr(unsent, "WRITE_SECONDS", 0.2)


@pytest.fixture
def _few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_UNDER_WAY", PLACES)


@asynccontextmanager
async def large_files(directory: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    settings = service_settings(directory, max_attachment=32 * 1024 * 1024)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def refused_people(person: Person, session_id: str, times: int = 5) -> list[Any]:
    """What a person was answered who sends, where it was no success."""
    replies = [await person.say(session_id, f"pesan {number}") for number in range(times)]
    return [reply.json for reply in replies if reply.status != 201]


def body_of(session_id: str) -> bytes:
    return json.dumps({"sessionId": session_id, "message": "x"}).encode()


# ---- connections ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_hurried_heads")
async def test_connections_that_say_nothing_or_drip_are_cut(service: Service, attacks: Attacks) -> None:
    client, _, session_id = await opened(service)
    async with peers(service.base, 60) as silent, peers(service.base, 30) as dripping:

        async def drip(peer: Peer) -> bool:
            cut = asyncio.create_task(peer.is_cut())
            await peer.send(head("POST", SAY, token=client.token))
            while not cut.done():
                await peer.send(b"X")
                await asyncio.wait({cut}, timeout=0.05)
            return cut.result()

        ends = asyncio.gather(*(peer.is_cut() for peer in silent), *(drip(peer) for peer in dripping))
        refused = await refused_people(client, session_id)
        cut = await ends
    attacks.count("silent connections", tried=60, through=[1 for one in cut[:60] if not one] + refused)
    attacks.count("dripping heads", tried=30, through=[1 for one in cut[60:] if not one])


@pytest.mark.usefixtures("_hurried_heads")
async def test_a_second_head_that_drips_is_cut_as_well(service: Service, attacks: Attacks) -> None:
    through = []
    async with peers(service.base, 10) as again:
        for peer in again:
            await peer.send(head("GET", "/healthz") + b"\r\n")
            assert await peer.status() == 200
            await peer.send(b"GET /healthz HTTP/1.1\r\nX")
        through = [peer for peer in again if not await peer.is_cut()]
    attacks.count("dripping heads", tried=10, through=through)


async def test_a_head_without_end_is_not_kept(service: Service, attacks: Attacks) -> None:
    through = []
    async with peers(service.base, 10) as endless:
        for peer in endless:
            await peer.send(b"GET /healthz HTTP/1.1\r\n")
            for number in range(100):
                await peer.send(f"X-{number}: {'x' * 1000}\r\n".encode())
            if await peer.status() not in (0, 400):
                through.append(peer)
    attacks.count("heads without end", tried=10, through=through)


async def test_idle_connections_make_room_for_people(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "connections_allowed", lambda: 40)
    settings = service_settings(tmp_path)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, _, session_id = await opened(service)
        async with peers(service.base, 120) as silent:
            refused = await refused_people(client, session_id)
            async with peers(service.base, 1) as (new,):
                await new.send(head("GET", "/readyz") + b"\r\n")
                if await new.status() != 200:
                    refused.append("a new connection")
            cut = await asyncio.gather(*(peer.is_cut(0.5) for peer in silent))
        attacks.count("more connections than files", tried=120, through=refused)
        assert sum(cut) >= 80


async def test_with_few_files_the_stores_are_still_reached(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    async with a_world(tmp_path, database_url=database_url, redis_url=redis_url) as world:
        replica = await world.replica(open_files=300)
        async with peers(replica.base, 600):
            person = world.person(replica.base)
            refused = [
                reply.json
                for reply in [await person.get("/psychologists") for _ in range(5)]
                if reply.status != 200
            ]
            async with peers(replica.base, 1) as (new,):
                await new.send(head("GET", "/readyz") + b"\r\n")
                if await new.status() != 200:
                    refused.append("not ready")
        attacks.count("more connections than files", tried=600, through=refused)
        assert "Too many open files" not in replica.log
        await replica.stop()


# ---- answers that are not taken ---------------------------------------------------------------------------


@pytest.mark.usefixtures("_hurried_readers")
async def test_slow_readers_of_a_large_file_are_cut(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    async with large_files(tmp_path, database_url, redis_url) as service:
        client, psychologist, session_id = await opened(service)
        lines = b"".join(b"%015d\n" % number for number in range(20 * 1024 * 1024 // 16))
        sent = await upload(client, session_id, lines, "besar.txt")
        path = sent.data["attachment"]["url"].removeprefix(service.base)
        files = service.runtime.attachments
        async with peers(service.base, 12, reads_little=True) as readers:
            for reader in readers:
                await reader.send(head("GET", path) + b"\r\n")
                assert await reader.status() == 200
            refused = await refused_people(psychologist, session_id)
            # They take nothing any more; what the kernel has taken for them, they may have.
            await until(lambda: files.reading.count(client.id) == 0, 10)
            through = []
            for reader in readers:
                taken = 0
                while piece := await reader.reader.read(2**20):
                    taken += len(piece)
                if taken >= len(lines):
                    through.append(taken)
        attacks.count("slow readers of a large file", tried=12, through=[*through, *refused])


@pytest.mark.usefixtures("_hurried_readers")
async def test_what_is_closed_does_not_wait_for_its_reader(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    """The last bytes of an answer, behind which the connection is closed, are left with the service."""
    async with large_files(tmp_path, database_url, redis_url) as service:
        client, _, session_id = await opened(service)
        content = b"".join(b"%015d\n" % number for number in range(8 * 1024 * 1024 // 16))
        url = (await upload(client, session_id, content, "a.txt")).data["attachment"]["url"]
        path = url.removeprefix(service.base)
        before = {task for task in asyncio.all_tasks() if not task.done()}
        async with peers(service.base, 8, reads_little=True) as unread:
            for number, peer in enumerate(unread):
                last = 3_000_000 + 400_000 * number
                await peer.send(head("GET", path, "Connection: close", f"Range: bytes=0-{last}") + b"\r\n")
                assert await peer.status() == 206
            await until(lambda: {task for task in asyncio.all_tasks() if not task.done()} <= before, 10)
            closed = [await peer.is_cut() for peer in unread]
        attacks.count("last bytes that are not taken", tried=8, through=[one for one in closed if not one])


@pytest.mark.usefixtures("_hurried_readers", "_few_places")
async def test_many_requests_of_which_no_answer_is_read_hold_no_places(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    async with large_files(tmp_path, database_url, redis_url) as service:
        client, psychologist, session_id = await opened(service)
        content = os.urandom(8 * 1024 * 1024).hex().encode()
        url = (await upload(client, session_id, content, "a.txt")).data["attachment"]["url"]
        body = body_of(session_id)
        one = head("POST", SAY, _JSON, f"Content-Length: {len(body)}", token=client.token) + b"\r\n" + body
        get = head("GET", url.removeprefix(service.base)) + b"\r\n"
        async with peers(service.base, 10, reads_little=True) as unread:
            for peer in unread:
                peer.writer.write(get + one * 30)
            await until(lambda: service.runtime.attachments.reading.count(client.id) >= 10)
            refused = await refused_people(psychologist, session_id)
        attacks.count("requests behind an unread answer", tried=300, through=refused)


# ---- bodies -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_few_places")
async def test_bodies_that_do_not_come_hold_no_places(service: Service, attacks: Attacks) -> None:
    client, psychologist, session_id = await opened(service)
    announced = _JSON, "Content-Length: 2000"
    async with AsyncExitStack() as closing:
        strangers = await closing.enter_async_context(peers(service.base, 40))
        for peer in strangers:
            await peer.send(head("POST", SAY, *announced) + b"\r\n{")
        answers = await asyncio.gather(*(peer.status() for peer in strangers))
        own = await closing.enter_async_context(peers(service.base, 40))
        for peer in own:
            await peer.send(head("POST", SAY, *announced, token=client.token) + b"\r\n{")
        refusals = [asyncio.create_task(peer.status(20)) for peer in own]

        async def refused_own() -> bool:
            return sum(task.done() and task.result() == 429 for task in refusals) == 40 - 16

        await until(refused_own)
        people = await refused_people(psychologist, session_id)
        for task in refusals:
            task.cancel()
        await asyncio.gather(*refusals, return_exceptions=True)
    through = [status for status in answers if status != 401]
    attacks.count("bodies that do not come, without a token", tried=40, through=[*through, *people])
    attacks.count("bodies that do not come, of one person", tried=40, through=people)
    assert (await client.say(session_id, "Halo")).status == 201, "they have their places again"


async def test_unfinished_uploads_of_one_person_wait_for_each_other(
    service: Service, attacks: Attacks
) -> None:
    client, psychologist, session_id = await opened(service)
    form = (
        f"--b\r\nContent-Disposition: form-data; name=sessionId\r\n\r\n{session_id}\r\n"
        "--b\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\n"
    ).encode()
    begin = head(
        "POST",
        "/api/v1/chat/messages/upload",
        "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {900_000 + len(form)}",
        token=client.token,
    )
    async with peers(service.base, 25) as uploads:
        for peer in uploads:
            peer.writer.write(begin + b"\r\n" + form + b"x" * 600_000)
        told = [asyncio.create_task(peer.status(20)) for peer in uploads]
        # Two are read, the others wait, but for the last.
        await until(lambda: sum(task.done() and task.result() == 429 for task in told) == 1)
        people = await refused_people(psychologist, session_id)
        other = await upload(psychologist, session_id, b"Halo", "a.txt")
        if other.status != 201:
            people.append(other.json)
        still = [task for task in told if not task.done()]
        assert len(still) == 24
        for task in still:
            task.cancel()
        await asyncio.gather(*still, return_exceptions=True)
    attacks.count("unfinished uploads of one person", tried=25, through=people)


async def test_a_file_before_its_session_is_read_for_no_one_without_an_open_chat(
    service: Service, attacks: Attacks
) -> None:
    form = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\n"
    through = []
    for number in range(10):
        stranger = service.person(name=f"Orang {number}")
        async with peers(service.base, 1) as (peer,):
            await peer.send(
                head(
                    "POST",
                    "/api/v1/chat/messages/upload",
                    "Content-Type: multipart/form-data; boundary=b",
                    "Content-Length: 900000",
                    token=stranger.token,
                )
                + b"\r\n"
                + form
            )
            # The file has not even begun.
            if (status := await peer.status()) != 400:
                through.append(status)
    attacks.count("files before their session", tried=10, through=through)


# ---- pictures, tokens, files ------------------------------------------------------------------------------


async def test_pictures_are_drawn_a_few_at_a_time(attacks: Attacks) -> None:
    rasteriser = Rasteriser()
    try:
        asked = [asyncio.create_task(rasteriser.png(_SVG.format(number + 1))) for number in range(60)]
        await asyncio.wait(asked)
        drawn = [task for task in asked if task.exception() is None]
        others = [
            error for task in asked if not isinstance(error := task.exception(), UnavailableError | None)
        ]
    finally:
        await rasteriser.close()
    attacks.count("pictures at once", tried=60, through=[*drawn[8:], *others])


async def test_diagrams_of_one_person_wait_for_each_other(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = 0
    get_timeline = ChatService.get_timeline

    async def counted(self: ChatService, caller: Caller, session_id: UUID) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await get_timeline(self, caller, session_id)
        finally:
            under_way -= 1

    monkeypatch.setattr(ChatService, "get_timeline", counted)
    settings = service_settings(tmp_path)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, _, session_id = await opened(service)
        path = f"/chat/sessions/{session_id}/diagram"
        asked = await asyncio.gather(*(client.get(path, format="mermaid") for _ in range(40)))
        assert {reply.status for reply in asked} == {200}
    attacks.count("diagrams of one person at once", tried=40, through=[most] if most > 2 else [])


async def test_what_comes_without_a_token_is_limited_by_address(
    tmp_path: Path,
    database_url: str,
    redis_url: str,
    attacks: Attacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def few(proxies: Any, on_refusal: Any) -> Strangers:
        return Strangers(proxies, on_refusal, rate=0.001, burst=40.0)

    monkeypatch.setattr(application, "Strangers", few)
    settings = service_settings(tmp_path, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, _, session_id = await opened(service)
        there = {"X-Forwarded-For": "203.0.113.7"}

        async def ask(path: str, address: str, **more: str) -> int:
            headers = {"X-Forwarded-For": address, **more}
            async with service.client.get(f"{service.base}{path}", headers=headers) as answer:
                return answer.status

        asked = [await ask("/healthz", "203.0.113.7") for _ in range(60)]
        assert asked[:40] == [200] * 40
        through = [status for status in asked[40:] if status != 429]
        forged = [await ask(SAY, "203.0.113.8", Authorization=f"Bearer {n}") for n in range(20)]
        assert forged[:4] == [405] * 4 or forged[:4] == [401] * 4
        guessed = [
            await ask("/api/v1/chat/sessions", "203.0.113.9", Authorization=f"Bearer {n}") for n in range(20)
        ]
        assert guessed[:4] == [401] * 4
        through += [status for status in guessed[4:] if status != 429]
        # From the same address, one who has a token is served; so are other addresses.
        said = await client.call(
            "POST", "/chat/messages", json=json.loads(body_of(session_id)), headers=there
        )
        people = [said.status] if said.status != 201 else []
        people += [status for status in [await ask("/healthz", "203.0.113.10")] if status != 200]
    attacks.count("requests without a token, of one address", tried=20, through=[*through, *people])


class _Tampering:
    """Changes a stored file in many ways: bytes, segments, heads, lengths, or with parts of `foreign`."""

    def __init__(self, kept: bytes, foreign: bytes) -> None:
        self._kept = kept
        self._foreign = foreign
        self._chance = random.Random(7)  # noqa: S311 - an order, not a secret
        self._length = struct.unpack(">I", kept[19:23])[0]

    def changed(self) -> bytes:
        way = self._chance.choice(
            (self._flip, self._cut, self._shorten, self._swap, self._drop, self._double, self._replace)
        )
        return way()

    def _segments(self, whole: bytes) -> list[bytes]:
        return [whole[at : at + self._length] for at in range(_HEAD, len(whole), self._length)]

    def _joined(self, parts: list[bytes]) -> bytes:
        return self._kept[:_HEAD] + b"".join(parts)

    def _one(self) -> int:
        return self._chance.randrange(len(self._segments(self._kept)) - 1)

    def _flip(self) -> bytes:
        at = self._chance.randrange(len(self._kept))
        flipped = self._kept[at] ^ 1 << self._chance.randrange(8)
        return self._kept[:at] + bytes([flipped]) + self._kept[at + 1 :]

    def _cut(self) -> bytes:
        return self._kept[: self._chance.randrange(len(self._kept))]

    def _shorten(self) -> bytes:
        """As if the file were shorter, with a last segment that was not the last."""
        count = self._one() + 1
        size = struct.pack(">Q", count * 64 * 1024)
        return self._kept[:23] + size + self._kept[_HEAD : _HEAD + count * self._length]

    def _swap(self) -> bytes:
        parts, one = self._segments(self._kept), self._one()
        parts[one], parts[one - 1] = parts[one - 1], parts[one]
        return self._joined(parts)

    def _drop(self) -> bytes:
        parts = self._segments(self._kept)
        del parts[self._one()]
        return self._joined(parts)

    def _double(self) -> bytes:
        parts, one = self._segments(self._kept), self._one()
        parts.insert(one, parts[one])
        return self._joined(parts)

    def _replace(self) -> bytes:
        parts, one = self._segments(self._kept), self._one()
        parts[one] = self._segments(self._foreign)[one]
        return self._joined(parts) if self._chance.random() < 0.9 else self._foreign


async def test_no_changed_file_is_shown(attacks: Attacks) -> None:
    objects = ObjectsInMemory()
    files, encryptor = SealedFiles(objects), Encryptor(b"k" * 32)
    session_id, attachment_id, other_id = uuid4(), uuid4(), uuid4()
    content, other = (os.urandom(5 * 64 * 1024 + 100) for _ in range(2))
    await files.put(encryptor, session_id, attachment_id, content)
    await files.put(encryptor, session_id, other_id, other)
    key = f"{session_id}/{attachment_id}"
    tampering = _Tampering(objects.kept[key], objects.kept[f"{session_id}/{other_id}"])
    through: list[int] = []
    tried = 400
    for _ in range(tried):
        objects.kept[key] = tampering.changed()
        shown = b""
        try:
            file = await files.open(encryptor, session_id, attachment_id)
            if file is not None:
                async for piece in file.read():
                    shown += piece
            through.append(len(shown))
        except DecryptionError:
            # What was shown before it was noticed is the file's own beginning.
            if shown != content[: len(shown)]:
                through.append(-1)
    attacks.count("changed, cut or exchanged files", tried=tried, through=through)
