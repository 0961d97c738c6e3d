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
from rdchat.files.kinds import IN_WORDS
from tests.support.forms import photo
from tests.support.recordings import video
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


ONE_BY_ONE = "Send the files that are in it one by one."
NO_PROGRAM = "Programs cannot be sent."


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


async def test_a_file_that_takes_too_long_is_said_to_do_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "cat > /dev/null\nkill -XCPU $$")
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=1000).examine(Upload("a", b"Halo"))
    assert caught.value.fields == {"file": ["This file takes too long to open."]}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("foto.png", b"", "The file is empty."),
        ("setup.exe", b"MZ\0", "This is a program. Programs cannot be sent."),
        (None, b"MZ\0", "This is a program. Programs cannot be sent."),
        (
            "foto.PNG",
            b"MZ\0",
            "Its name says that it is an image, but it is a program. Programs cannot be sent.",
        ),
        (
            "foto.heic",
            b"MZ\0",
            "Its name says that it is an image, but it is a program. Programs cannot be sent.",
        ),
        (
            "surat.pdf",
            b"<html>",
            (
                "Its name says that it is a PDF, but it is a web page. Send it as PDF, or what matters as a "
                "text."
            ),
        ),
        (
            "surat.docx",
            b"Rar!\x1a\x07\0",
            f"Its name says that it is a document, but it is an archive. {ONE_BY_ONE}",
        ),
        (
            "catatan.txt",
            b"#!/bin/sh",
            f"Its name says that it is a text, but it is a program. {NO_PROGRAM}",
        ),
        ("pindai.tiff", b"II*\0", "This is a TIFF or raw image. Send it as JPEG or PNG."),
        ("pindai.jpg", b"II*\0", "This is a TIFF or raw image. Send it as JPEG or PNG."),
        ("film.mp4", video(), "This is a video. Videos cannot be sent."),
        ("foto.jpg", video(), "Its name says that it is an image, but it is a video. Videos cannot be sent."),
        ("a", b"\0", f"Must be {IN_WORDS}."),
    ],
)
async def test_what_is_refused_is_named(name: str | None, content: bytes, sentence: str) -> None:
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=1000).examine(Upload(name, content))
    assert caught.value.fields == {"file": [sentence]}


async def test_what_the_main_process_does_not_need_it_does_not_load() -> None:
    """A decoder in the service's own process would be one whose faults end the service's own process."""
    asked = "import sys, handlers.server.application; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", asked, stdout=asyncio.subprocess.PIPE
    )
    loaded = set((await process.communicate())[0].decode().split())
    assert "rdchat.files.examiner" in loaded
    assert not loaded & {"PIL", "pillow_heif", "av", "pypdf"}


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

    async def ask(_content: bytes) -> tuple[int, bytes]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return 0, b'{"contentType": "text/plain", "width": null, "height": null, "durationMs": null}\n'

    monkeypatch.setattr(examiner, "_ask", ask)
    one = Examiner(largest=1000, at_once=2)
    await asyncio.gather(*(one.examine(Upload("a", b"Halo")) for _ in range(10)))
    assert most == 2
