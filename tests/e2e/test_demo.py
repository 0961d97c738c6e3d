"""`run.py demo`, as somebody runs it who sees the project for the first time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from rdchat.local.demo import play, service
from rdchat.local.demo.script import CLIENT_NAME, PSYCHOLOGIST_NAME
from tests.support.leftovers import names_in, processes_in

# One after another: these start programs all the time, which wakes two cores for a second each.
pytestmark = pytest.mark.xdist_group("programs")

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "run.py", "demo", *arguments]


def environment(temporary: Path) -> dict[str, str]:
    """The demo's data goes where the test can look; settings of a service must not reach it."""
    return os.environ | {
        "TMPDIR": str(temporary),
        "RDCHAT_PORT": "no port at all",
        "RDCHAT_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere",
    }


async def nothing_is_left(directory: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        while processes_in(directory):  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0.1)


async def test_a_whole_session_without_a_terminal(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = await asyncio.create_subprocess_exec(
        *command("--seconds", "12", "--keep", str(kept)),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        raw, errors = await process.communicate()
    output = raw.decode()

    assert process.returncode == 0, output
    assert errors == b""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", output), "control characters without a terminal"
    for line in (
        "… next: the chat opens, in ",
        f"✓ {CLIENT_NAME} writes before the start → 400 CHAT_NOT_ENABLED",
        "✓ A stranger writes in this session → 403 NOT_PARTICIPANT",
        f"▸ {PSYCHOLOGIST_NAME} (automated): Sesi konseling dimulai!",
        "◆ end warning: both see the end button",
        f"✓ {CLIENT_NAME} writes after the end → 400 SESSION_ENDED",
        "┃ pending ┃━━━━━━━━━━━━▶┃ active ┃━━━━━━━━━━━━▶┃ ending_soon ┃━━━━━━━━━━━━▶┃ completed ┃",
    ):
        assert line in output
    held = re.search(r"All (\d+) checks hold\.", output)
    assert held is not None
    assert "✗" not in output

    assert "(automated): Halo!" in (kept / "transcript.txt").read_text()
    timeline: dict[str, Any] = json.loads((kept / "timeline.json").read_text())
    assert [one["kind"] for one in timeline["automations"]] == [
        "initial_message",
        "enable_chat",
        "end_warning",
        "auto_end",
    ]
    assert all(set(one["heard"]) == {CLIENT_NAME, PSYCHOLOGIST_NAME} for one in timeline["automations"])
    assert [check["holds"] for check in timeline["checks"]] == [True] * int(held[1])
    assert int(held[1]) > 10
    assert (kept / "diagram.svg").read_text().lstrip().startswith("<")
    assert names_in(tmp_path) == ["kept"]
    await nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -9)]
)
async def test_nothing_is_left_of_a_demo_that_is_ended(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("--seconds", "12"), cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            if "are subscribed" in line.decode():
                break
        assert processes_in(tmp_path)
        process.send_signal(number)
        await process.communicate()
    assert process.returncode == status
    await nothing_is_left(tmp_path)
    if number != signal.SIGKILL:
        assert names_in(tmp_path) == []


async def test_a_service_that_dies_in_the_middle(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("--seconds", "12"), cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            if "are subscribed" in line.decode():
                break
        (serving,) = psutil.Process(process.pid).children()
        serving.kill()
        rest, _ = await process.communicate()
    assert process.returncode == 1
    assert "could not be played to its end: the service ended in the middle of it." in rest.decode()
    await nothing_is_left(tmp_path)


async def test_a_service_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = service._environment  # noqa: SLF001 - the only way to make it fail
    monkeypatch.setattr(
        service, "_environment", lambda *given: settings(*given) | {"RDCHAT_LANGUAGE": "Klingon"}
    )
    assert await play(seconds=12, keep=None) == 2
    shown = capsys.readouterr().out
    assert "The service could not be started. It ended with status 2." in shown
    assert "LANGUAGE: Must be one of: id, en." in shown


@pytest.mark.parametrize("seconds", [11, 601])
async def test_a_length_that_cannot_be_played(seconds: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert await play(seconds=seconds, keep=None) == 2
    assert "--seconds must be from 12 to 600." in capsys.readouterr().out


async def test_a_place_where_nothing_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.touch()
    assert await play(seconds=12, keep=taken) == 2
    assert "cannot be used: File exists." in capsys.readouterr().out
