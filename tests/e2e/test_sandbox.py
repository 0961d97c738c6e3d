"""`run.py sandbox`, as a writer of apps uses it: every line that it prints works as pasted."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.sandbox.script import BEGIN, END, WHEN_OPEN
from tests.support.leftovers import names_in, processes_in

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

# One after another: these start programs all the time, which wakes two cores for a second each.
pytestmark = pytest.mark.xdist_group("programs")

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0


@asynccontextmanager
async def sandbox(temporary: Path, *arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """A sandbox, and what it has printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py", "sandbox", *arguments),
        cwd=ROOT,
        # Settings of a service must not reach it.
        env=os.environ
        | {"TMPDIR": str(temporary), "RDCHAT_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    assert process.stdout is not None
    printed = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while "Ctrl-C" not in printed:
                line = (await process.stdout.readline()).decode()
                assert line, f"it ended instead of serving:\n{printed}"
                printed += line
        yield process, printed
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            await process.communicate()


async def paste(*lines: str) -> Any:
    shell = await asyncio.create_subprocess_exec("bash", "-c", "\n".join(lines), stdout=PIPE, stderr=STDOUT)
    said, _ = await shell.communicate()
    try:
        return json.loads(said)
    except ValueError:
        pytest.fail(f"{lines[-1]}\nprinted\n{said.decode()}")


@pytest.mark.timeout(240)
async def test_every_line_that_it_prints_works(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    async with sandbox(tmp_path, "--starts-in", "40", "--seconds", "61") as (process, printed):
        assert BEGIN in printed
        lines = printed.partition(f"{BEGIN}\n")[2].partition(END)[0].splitlines()
        names = [line for line in lines if not line.startswith(("curl", "#"))]
        now, later = lines[: lines.index(WHEN_OPEN)], lines[lines.index(WHEN_OPEN) :]
        calls = [line for line in now if line.startswith("curl")]
        assert len(calls) > 6
        told = [await paste(*names, line) for line in calls]
        assert all(one["success"] for one in told), told
        assert told[0]["data"]["status"] == "pending"
        assert told[-1]["data"]["method"] == "chat", "another session is booked beside the first"
        assert told[-1]["data"]["chatSession"]["sessionId"] != told[0]["data"]["id"]
        # What is to come once the chat is open is refused before.
        calls_later = [line for line in later if line.startswith("curl")]
        assert (await paste(*names, calls_later[0])).get("code") == "CHAT_NOT_ENABLED"
        async with asyncio.timeout(PATIENCE):
            while (await paste(*names, calls[0]))["data"]["status"] == "pending":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)
        said = [await paste(*names, line) for line in calls_later]
        assert all(one["success"] for one in said), said
        texts = [one["message"] for one in said[-1]["data"]["data"]]
        assert texts[-2:] == ["Halo, Dok.", "Halo, Budi. Apa kabar?"]
        assert len(texts) == 4, "the first message and the opening came by themselves"
        assert processes_in(tmp_path)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            rest, _ = await process.communicate()
        assert (process.returncode, "nothing is left" in rest.decode()) == (0, True)
    async with asyncio.timeout(PATIENCE):
        while processes_in(tmp_path):  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0.1)
    assert names_in(tmp_path) == []


@pytest.mark.timeout(180)
async def test_a_port_that_is_taken_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py", "sandbox", "--port", str(port)),
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    server.close()
    await server.wait_closed()
    assert process.returncode == 2
    assert "could not be started" in said.decode()
    assert processes_in(tmp_path) == []
    assert names_in(tmp_path) == []
