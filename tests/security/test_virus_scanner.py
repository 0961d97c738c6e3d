"""A virus scanner beside the service: what it finds is refused, and nothing is accepted unseen."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.files import virus_scanner
from rdchat.files.examiner import Examiner, Upload
from rdchat.files.virus_scanner import VirusScanner
from tests.support.clamd import EICAR, MOST_BYTES, find_clamd, played_clamd, real_clamd
from tests.support.forms import photo, upload
from tests.support.service import Service, service_settings
from tests.support.sessions import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.attacks import Attacks


@asynccontextmanager
async def scanner_of(kind: str, tmp_path: Path) -> AsyncIterator[str]:
    if kind == "played":
        async with played_clamd() as address:
            yield address
        return
    program = find_clamd()
    if program is None:
        pytest.skip("clamd is not installed")
    async with real_clamd(program, tmp_path / "clamd") as address:
        yield address


@pytest.mark.parametrize("kind", ["played", "real"])
async def test_what_the_scanner_finds_is_refused_with_a_sentence(
    kind: str, tmp_path: Path, attacks: Attacks
) -> None:
    async with scanner_of(kind, tmp_path) as address:
        examiner = Examiner(largest=4 * MOST_BYTES, scanner=VirusScanner(address))
        assert (await examiner.examine(Upload("a.png", photo()))).content_type == "image/png"
        assert (await examiner.examine(Upload("a.txt", b"Halo" * 100_000))).content_type == "text/plain"
        said = {}
        for name, content in {"infected": EICAR, "too large": b"a" * (MOST_BYTES + 1)}.items():
            with pytest.raises(RdchatError) as caught:
                await examiner.examine(Upload("a.txt", content))
            said[name] = (caught.value.code, (caught.value.fields or {})["file"][0])
    words = {"infected": "virus scanner has found something", "too large": "too large for the virus scanner"}
    through = [
        (name, one)
        for name, one in said.items()
        if one[0] is not ErrorCode.VALIDATION_FAILED or words[name] not in one[1]
    ]
    attacks.count("infected files", tried=len(said), through=through)


#: What no scanner should say; none of it may pass for "nothing was found".
_STRANGE = (
    b"",
    b"\0",
    b"stream: OK",
    b"stream: OK FOUND?\0",
    b"OK\0",
    b"stream: \0",
    b"x" * 100_000,
    b"ERROR\0",
)


async def test_nothing_is_accepted_that_was_not_scanned(
    monkeypatch: pytest.MonkeyPatch, attacks: Attacks
) -> None:
    monkeypatch.setattr(virus_scanner, "_ANSWER_SECONDS", 0.3)
    through: list[object] = []

    async def try_at(address: str, kind: object) -> None:
        try:
            await VirusScanner(address).scan(b"Halo" * 10_000)
        except RdchatError as error:
            through.extend([kind] if error.code is not ErrorCode.UNAVAILABLE else [])
        else:
            through.append(kind)

    for answer in _STRANGE:
        async with played_clamd(answer=answer) as address:
            await try_at(address, answer[:20])
    async with played_clamd(hangs=True) as address:
        await try_at(address, "hangs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await try_at(f"127.0.0.1:{port}", "nobody listens")
    await try_at("/nowhere/clamd.sock", "no socket")
    attacks.count("files while the scanner is away or strange", tried=len(_STRANGE) + 3, through=through)


async def test_over_http_it_is_a_refusal_and_nothing_is_kept(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    async with played_clamd() as address:
        settings = service_settings(tmp_path, clamd=address)
        async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
            client, _, session_id = await opened(service)
            assert (await upload(client, session_id, photo())).status == 201
            infected = await upload(client, session_id, EICAR, "surat.txt")
            service.runtime.attachments.examiner._scanner = VirusScanner("/nowhere/clamd.sock")  # noqa: SLF001
            unscanned = await upload(client, session_id, photo())
            sent = [one for one in await client.history(session_id) if one["messageType"] != "automated"]
    assert (infected.status, infected.code) == (400, "VALIDATION_FAILED")
    assert "Eicar" in infected.json["errors"]["file"][0]
    assert (unscanned.status, unscanned.code) == (503, "UNAVAILABLE")
    attacks.count("infected or unscanned files in a chat", tried=2, through=sent[1:])
