"""The reference client in a whole session of two, with every fault; parts of it and of pages alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from rdchat.events import channels
from rdchat.events.outbox_entry import Event
from rdchat.local.ably.faults import Fault, FaultKind, Operation
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

    async def revoke(self, person: UUID) -> None:
        key, before = channels.desk_revocation_key(person), int(self._service.runtime.clock.ms())
        data = orjson.dumps({"revocationKey": key, "issuedBefore": before}).decode()
        assert await self._service.runtime.ably.revoke([Event("", "", "", data)]) is None


async def play(node: Path, service: Service, tokens: list[str], session_id: str) -> dict[str, Any]:
    """Let two people hold a session, do what they ask for, and return what came of it."""
    outside = Outside(service, session_id)
    process = await asyncio.create_subprocess_exec(
        str(node),
        "client.mjs",
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
