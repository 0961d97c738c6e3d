"""Files are examined in a process of its own: it may die, and it knows nothing."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.files import examiner
from rdchat.files.examiner import Examiner, Upload
from tests.support.forms import photo
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put another program in the place of the one that examines."""
    script = tmp_path / "program.sh"
    script.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))


async def test_pictures_and_documents_are_examined() -> None:
    one = Examiner(largest=10_000)
    picture, text = await asyncio.gather(
        one.examine(Upload("a.txt", photo(form="JPEG"))), one.examine(Upload("b.png", b"Halo"))
    )
    assert (picture.file_name, picture.content_type) == ("a.jpg", "image/jpeg")
    assert (picture.width, picture.height) == (60, 40)
    assert (text.file_name, text.content_type, text.content) == ("b.txt", "text/plain", b"Halo")
    assert (text.width, text.height) == (None, None)


async def test_a_picture_that_grows_beyond_bearing_is_refused() -> None:
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=50).examine(Upload("a.png", photo()))
    assert caught.value.fields == {"file": ["The image is too large without the compression it came with."]}


@pytest.mark.parametrize("fate", ["exit 1", "kill -9 $$", "kill -SEGV $$", "exit 0", "echo '{}' ; exit 3"])
async def test_a_file_at_which_the_program_dies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    program(tmp_path, monkeypatch, f"cat > /dev/null\n{fate}")
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=1000).examine(Upload("a", b"Halo"))
    assert (caught.value.code, list(caught.value.fields or ())) == (ErrorCode.VALIDATION_FAILED, ["file"])


async def test_a_program_that_hangs_is_ended_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Examiner(largest=1000, at_once=1)
    with monkeypatch.context() as hanging:
        program(tmp_path, hanging, "exec sleep 1000")
        hanging.setattr(examiner, "_PATIENCE_SECONDS", 0.2)
        with pytest.raises(RdchatError) as caught:
            await one.examine(Upload("a", b"Halo"))
        assert caught.value.code is ErrorCode.UNAVAILABLE
        # Whoever asks may go as well.
        hanging.setattr(examiner, "_PATIENCE_SECONDS", 60.0)
        task = asyncio.create_task(one.examine(Upload("a", b"Halo")))
        await until(lambda: any("sleep" in child.name() for child in psutil.Process().children()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await one.examine(Upload("a", b"Halo"))).content == b"Halo"


async def test_the_secrets_of_the_service_stay_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "environment"
    program(tmp_path, monkeypatch, f"env > {seen}; cat > /dev/null; exit 1")
    monkeypatch.setenv("RDCHAT_ENCRYPTION_KEYS", "main:very-secret")
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=1000).examine(Upload("a", b"Halo"))
    assert caught.value.fields == {"file": ["This file cannot be read."]}
    environment = seen.read_text(encoding="utf-8")
    assert "PWD=" in environment
    assert "secret" not in environment


async def test_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most = 0, 0

    async def ask(_content: bytes) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return b'{"contentType": "text/plain", "width": null, "height": null}\n'

    monkeypatch.setattr(examiner, "_ask", ask)
    one = Examiner(largest=1000, at_once=2)
    await asyncio.gather(*(one.examine(Upload("a", b"Halo")) for _ in range(10)))
    assert most == 2
