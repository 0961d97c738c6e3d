"""The reference client in a whole session of two, with every fault; parts of it and of pages alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rdchat.events import channels
from rdchat.events.outbox_entry import Event, SealedEvent
from rdchat.local.ably.faults import Fault, FaultKind, Operation
from rdchat.realtime.channel_cipher import EventSealer
from rdchat.security.encryption import Encryptor
from tests.support.service import Service, service_settings
from tests.support.soon import session_soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

pytestmark = pytest.mark.xdist_group("javascript")

JAVASCRIPT = Path(__file__).parents[1] / "js"
PARTS = Path(__file__).parent / "client"
PATIENCE = 90.0
LASTS = 60


@pytest.fixture
async def practice(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    async with Service.running(
        service_settings(tmp_path), database_url=database_url, redis_url=redis_url
    ) as service:
        yield service


async def test_parts_alone(node: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(node),
        "--test",
        *sorted(str(path) for path in PARTS.glob("*.test.mjs")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, said.decode()
    assert b"# tests 0" not in said


class Outside:
    """What happens to a session from outside while two people hold it."""

    def __init__(self, service: Service, session_id: str) -> None:
        self._service = service
        self._session_id = session_id

    async def lose(self, deliveries: int) -> None:
        self._at_delivery(FaultKind.DROP, deliveries)

    async def double(self, deliveries: int) -> None:
        self._at_delivery(FaultKind.DUPLICATE, deliveries)

    def _at_delivery(self, kind: FaultKind, times: int) -> None:
        channel = f"chat:session:{self._session_id}"
        assert self._service.runtime.ably_local is not None
        self._service.runtime.ably_local.faults.add(
            Fault(kind, on=Operation.DELIVER, channel=channel, times=times)
        )

    async def cut(self) -> None:
        assert self._service.runtime.ably_local is not None
        self._service.runtime.ably_local.drop_sockets()

    async def forge(self) -> None:
        """Publish as one can who has the channel at Ably, and no key."""
        channel = f"chat:session:{self._session_id}"
        data = {"sessionId": self._session_id, "seq": 5, "content": "Bukan kata siapa pun", "proof": "AAAA"}
        forged = orjson.dumps(data | {"id": "1", "senderId": "2", "senderName": "3"}).decode()
        ably = self._service.runtime.ably
        events: list[Event | SealedEvent] = [
            Event(f"{channel}{channels.SEALED}", "forged:0", channels.MESSAGE, forged),
            EventSealer(Encryptor(b"e" * 32).channel_keys).seal(
                Event(channel, "forged:1", channels.MESSAGE, forged)
            ),
        ]
        assert await ably.publish([events]) == [None]

    async def revoke(self, person: UUID) -> None:
        key, before = channels.desk_revocation_key(person), int(self._service.runtime.clock.ms())
        data = orjson.dumps({"revocationKey": key, "issuedBefore": before}).decode()
        assert await self._service.runtime.ably.revoke([Event("", "", "", data)]) is None


async def play(
    node: Path, service: Service, tokens: list[str], session_id: str, script: str = "client.mjs"
) -> dict[str, Any]:
    """Let two people hold a session, do what they ask for, and return what came of it."""
    outside = Outside(service, session_id)
    process = await asyncio.create_subprocess_exec(
        str(node),
        script,
        service.base,
        *tokens,
        session_id,
        cwd=JAVASCRIPT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    outcome: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            async for line in process.stdout:
                said = json.loads(line)
                outcome = said.get("outcome", outcome)
                if (asked := said.pop("ask", None)) is not None:
                    await getattr(outside, asked)(**said)
                    process.stdin.write(b"done\n")
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (await errors).decode()
    await errors
    return outcome


async def test_two_hold_a_session_and_miss_nothing(practice: Service, node: Path, sdk: object) -> None:
    assert (JAVASCRIPT / "node_modules" / "ably").exists(), f"the SDK is not installed: {sdk}"
    psychologist, client = await practice.psychologist(), practice.person()
    session_id = await session_soon(client, 4, LASTS, psychologistId=str(psychologist.id))
    outcome = await play(node, practice, [client.token, psychologist.token], session_id)
    assert outcome == {
        "waiting": [[False, True], [False, True]],
        "talk": [True, True, True],
        "order": [True, True],
        "together": True,
        "faults": [True, True],
        "answer": 1,
        "pending": ["luring 1", "luring 2"],
        "draft": "belum selesai",
        "draftAgain": "belum selesai",
        "offline": [True, True, ["luring 1", "luring 2"]],
        "wrong": True,
        "tooSoon": True,
        "file": ["tidur.txt", "Catatan tidur saya.", True],
        "history": True,
        "end": [True, True, True],
        "late": ["SESSION_ENDED", "belum selesai"],
        "discarded": [0, "terlambat"],
        "refused": "SESSION_NOT_FOUND",
    }


async def test_two_talk_where_what_is_said_is_encrypted(
    tmp_path: Path, database_url: str, redis_url: str, node: Path, sdk: object
) -> None:
    assert (JAVASCRIPT / "node_modules" / "ably").exists(), f"the SDK is not installed: {sdk}"
    settings = service_settings(tmp_path, dialect=None, ably_cipher=True)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        psychologist, client = await service.psychologist(), service.person()
        session_id = await session_soon(client, 3, LASTS, psychologistId=str(psychologist.id))
        tokens = [client.token, psychologist.token]
        outcome = await play(node, service, tokens, session_id, "sealed_client.mjs")
    said = ["Halo 😊", 'baris\nkedua "kutip" \\ مرحبا \u2028', "Saya di sini."]
    assert outcome == {"live": 0, "texts": [said, said], "dense": [True, True]}
