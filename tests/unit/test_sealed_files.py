"""Files in segments: what goes in comes out, in whole or in part, and nothing that was changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.security.encryption import DecryptionError, Encryptor
from rdchat.security.sealed_files import SealedFiles, seal
from tests.support.objects import ObjectsInMemory

if TYPE_CHECKING:
    from uuid import UUID

SEGMENT = 64 * 1024
HEAD = 15 + 4 + 4 + 8
SESSION, ATTACHMENT = uuid4(), uuid4()
ENCRYPTOR = Encryptor(b"k" * 32)


async def whole(
    files: SealedFiles, session_id: UUID = SESSION, attachment_id: UUID = ATTACHMENT, **part: int
) -> bytes | None:
    file = await files.open(ENCRYPTOR, session_id, attachment_id)
    if file is None:
        return None
    return b"".join([piece async for piece in file.read(**part)])


@pytest.fixture
def objects() -> ObjectsInMemory:
    return ObjectsInMemory()


@pytest.fixture
def files(objects: ObjectsInMemory) -> SealedFiles:
    return SealedFiles(objects)


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 10 * SEGMENT + 7])
async def test_what_is_put_is_read(files: SealedFiles, size: int) -> None:
    content = os.urandom(size)
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, content)
    file = await files.open(ENCRYPTOR, SESSION, ATTACHMENT)
    assert file is not None
    assert file.size == size
    pieces = [piece async for piece in file.read()]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= SEGMENT
    await files.delete(SESSION, ATTACHMENT)
    assert await files.open(ENCRYPTOR, SESSION, ATTACHMENT) is None


async def test_a_part_is_read_without_the_rest(files: SealedFiles, objects: ObjectsInMemory) -> None:
    content = os.urandom(40 * SEGMENT + 100)
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, content)
    for start, stop in (
        (0, 1),
        (SEGMENT - 1, SEGMENT + 1),
        (SEGMENT, 2 * SEGMENT),
        (7 * SEGMENT + 5, 19 * SEGMENT + 6),
        (40 * SEGMENT, 40 * SEGMENT + 100),
        (40 * SEGMENT + 99, 10**9),
        (5, 5),
    ):
        objects.taken = 0
        assert await whole(files, start=start, stop=stop) == content[start:stop]
        segments = (min(stop, len(content)) - start) // SEGMENT + 2
        assert objects.taken <= (segments + 2) * (SEGMENT + 200)


async def test_what_its_reader_does_not_take_is_not_read(
    files: SealedFiles, objects: ObjectsInMemory
) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, os.urandom(100 * SEGMENT))
    file = await files.open(ENCRYPTOR, SESSION, ATTACHMENT)
    assert file is not None
    pieces = file.read()
    for _ in range(5):
        await anext(pieces)
    assert objects.taken <= 10 * (SEGMENT + 200)
    assert objects.largest <= 4 * (SEGMENT + 200)
    await pieces.aclose()


async def test_the_same_file_elsewhere_does_not_open(files: SealedFiles, objects: ObjectsInMemory) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, b"Halo")
    for session_id, attachment_id in ((SESSION, uuid4()), (uuid4(), ATTACHMENT)):
        objects.kept[f"{session_id}/{attachment_id}"] = objects.kept[f"{SESSION}/{ATTACHMENT}"]
        with pytest.raises(DecryptionError):
            await whole(files, session_id, attachment_id)


@pytest.mark.parametrize("stored", [b"", b"x", b"x" * 31, b"\1" + b"x" * 40])
async def test_what_is_no_sealed_file_does_not_open(
    files: SealedFiles, objects: ObjectsInMemory, stored: bytes
) -> None:
    objects.kept[f"{SESSION}/{ATTACHMENT}"] = stored
    with pytest.raises(DecryptionError):
        await whole(files)


async def test_a_file_that_is_gone_while_it_is_read(files: SealedFiles, objects: ObjectsInMemory) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, os.urandom(100 * SEGMENT))
    file = await files.open(ENCRYPTOR, SESSION, ATTACHMENT)
    assert file is not None
    objects.kept.clear()
    with pytest.raises(UnavailableError):
        _ = [piece async for piece in file.read()]


def test_what_differs_in_length_is_not_sealed() -> None:
    class Growing(Encryptor):
        def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
            return super().encrypt(plaintext, context) + b"x" * len(context)

    with pytest.raises(ValueError, match="differ in length"):
        seal(Growing(b"k" * 32), b"x" * 3 * SEGMENT, SESSION, ATTACHMENT)
