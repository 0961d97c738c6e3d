"""The receiver that docs/webhooks.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from rdchat.common.clock import SystemClock
from rdchat.webhooks.sender import Sender
from tests.support.webhooks import event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.xdist_group("programs")

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
SECRET, OTHER = b"d" * 32, b"x" * 32


@pytest.fixture
async def example(tmp_path: Path) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The Python example in a process of its own: its address, and what it prints."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "receive.py"
    path.write_text(source)
    secret = f"whsec_{base64.b64encode(SECRET).decode()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(path),
        stdout=PIPE,
        stderr=STDOUT,
        env=os.environ | {"WEBHOOK_SECRET": secret, "PORT": "0", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        welcome = (await process.stdout.readline()).decode()
        await process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", welcome)
    assert address is not None, welcome
    yield f"{address.group()}/rdchat", process.stdout
    process.send_signal(signal.SIGINT)
    await process.communicate()


async def test_it_takes_what_is_genuine_once_and_nothing_else(
    example: tuple[str, asyncio.StreamReader],
) -> None:
    url, printed = example
    first, second = event(), event()
    delivery_id = uuid4()

    async def answer_to(body: bytes, *secrets: bytes) -> int:
        sender = Sender(url, secrets, SystemClock(), allow_private=True)
        try:
            return (await sender.post(delivery_id, body)).status
        finally:
            await sender.close()

    assert await answer_to(first.body(), OTHER) == 401
    assert await answer_to(first.body(), OTHER, SECRET) == 204
    assert await answer_to(first.body(), SECRET) == 204
    delivery_id = uuid4()
    assert await answer_to(second.body(), SECRET) == 204
    async with asyncio.timeout(5):
        lines = [(await printed.readline()).decode().split() for _ in range(2)]
    assert lines == [[one.type, one.data["person"]["email"]] for one in (first, second)]
