"""Files in segments: what goes in comes out, in whole or in part, and nothing that was changed."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.security import sealed_files
from rdchat.security.encryption import DecryptionError, Encryptor, context
from rdchat.security.sealed_files import SealedFiles, seal
from tests.support.objects import ObjectsInMemory

if TYPE_CHECKING:
    from uuid import UUID

SEGMENT = 64 * 1024
MARK = b"\0rdchat file 1\n"
HEAD = len(MARK) + 4 + 4 + 8
#: What sealing adds to a segment: the form, a nonce, and the tag.
ADDED = 1 + 12 + 16
SEALED = SEGMENT + ADDED
SESSION, ATTACHMENT = uuid4(), uuid4()
KEY = f"{SESSION}/{ATTACHMENT}"
ENCRYPTOR = Encryptor(b"k" * 32)


async def whole(
    files: SealedFiles, session_id: UUID = SESSION, attachment_id: UUID = ATTACHMENT, **part: int
) -> bytes | None:
    file = await files.open(ENCRYPTOR, session_id, attachment_id)
    if file is None:
        return None
    return b"".join([piece async for piece in file.read(**part)])


def head_of(segment_bytes: int, sealed_bytes: int, size: int, mark: bytes = MARK) -> bytes:
    return mark + struct.pack(">IIQ", segment_bytes, sealed_bytes, size)


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
    with pytest.raises(UnavailableError) as caught:
        _ = [piece async for piece in file.read()]
    assert caught.value.what == "a file that is read"


@pytest.mark.parametrize("segments", [2, 3])
def test_what_differs_in_length_is_not_sealed(segments: int) -> None:
    class Growing(Encryptor):
        def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
            return super().encrypt(plaintext, context) + b"x" * len(context)

    with pytest.raises(ValueError, match=r"^sealed segments differ in length$"):
        seal(Growing(b"k" * 32), b"x" * segments * SEGMENT, SESSION, ATTACHMENT)


async def test_the_form_of_a_stored_file_stays_what_it_is(
    files: SealedFiles, objects: ObjectsInMemory
) -> None:
    """A file that was stored by hand, as it is described, is read; and what is stored opens by hand."""
    content = os.urandom(2 * SEGMENT + 3)
    head = head_of(SEGMENT, SEALED, len(content))
    bound = [
        context("file", SESSION, ATTACHMENT, SEGMENT, SEALED, len(content), number, int(number == 2))
        for number in range(3)
    ]
    parts = [content[:SEGMENT], content[SEGMENT : 2 * SEGMENT], content[2 * SEGMENT :]]
    objects.kept[KEY] = head + b"".join(map(ENCRYPTOR.encrypt, parts, bound))
    assert await whole(files) == content
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, content)
    stored = objects.kept[KEY]
    assert stored[:HEAD] == head
    sealed = [stored[HEAD + number * SEALED : HEAD + (number + 1) * SEALED] for number in range(3)]
    assert list(map(ENCRYPTOR.decrypt, sealed, bound)) == parts


@pytest.mark.parametrize("segment_bytes", [1, 10, 100_000])
@pytest.mark.parametrize("size", [0, 1, 10, 95])
async def test_segments_are_as_long_as_the_head_says(
    files: SealedFiles, monkeypatch: pytest.MonkeyPatch, segment_bytes: int, size: int
) -> None:
    """So files open that were stored when another length was usual."""
    content = os.urandom(size)
    with monkeypatch.context() as patch:
        patch.setattr(sealed_files, "_SEGMENT_BYTES", segment_bytes)
        await files.put(ENCRYPTOR, SESSION, ATTACHMENT, content)
    assert await whole(files) == content
    assert await whole(files, start=3, stop=42) == content[3:42]


@pytest.mark.parametrize(
    "head",
    [
        head_of(SEGMENT, SEALED, 4, mark=MARK[:-1] + b"\r"),
        head_of(SEGMENT, SEALED, 4, mark=MARK.replace(b"1", b"2")),
        head_of(0, ADDED, 4),
        head_of(SEGMENT, SEGMENT, 4),
        head_of(SEALED, SEGMENT, 4),
        # Longer than what a reader would hold at once.
        head_of(SEGMENT, 2**24, 4),
    ],
)
async def test_a_head_that_cannot_be_one_is_refused_before_anything_is_opened(
    files: SealedFiles, objects: ObjectsInMemory, head: bytes
) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, b"Halo")
    objects.kept[KEY] = head + objects.kept[KEY][HEAD:]
    with pytest.raises(DecryptionError, match=r"^the head of a file was changed$"):
        await files.open(ENCRYPTOR, SESSION, ATTACHMENT)


@pytest.mark.parametrize(
    "head", [head_of(SEGMENT + 1, SEALED, 4), head_of(SEGMENT, 2**24 - 1, 4), head_of(SEGMENT, SEALED, 3)]
)
async def test_a_head_that_could_be_one_is_bound_to_the_segments(
    files: SealedFiles, objects: ObjectsInMemory, head: bytes
) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, b"Halo")
    objects.kept[KEY] = head + objects.kept[KEY][HEAD:]
    with pytest.raises(DecryptionError, match=r"^changed, or of another context$"):
        await whole(files)


async def test_segments_open_in_their_places_alone(files: SealedFiles, objects: ObjectsInMemory) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, os.urandom(4 * SEGMENT))
    stored = objects.kept[KEY]
    head, parts = (
        stored[:HEAD],
        [stored[HEAD + number * SEALED : HEAD + (number + 1) * SEALED] for number in range(4)],
    )
    for order in ((1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (0, 2, 3), (0, 1, 1, 3), (0, 1, 2, 2)):
        objects.kept[KEY] = head + b"".join(parts[number] for number in order)
        with pytest.raises(DecryptionError, match=r"^changed, or of another context$"):
            await whole(files)


@pytest.mark.parametrize("left", [0, HEAD - 1, HEAD, HEAD + SEALED, HEAD + 2 * SEALED])
async def test_a_file_that_was_cut_short_is_said_to_be(
    files: SealedFiles, objects: ObjectsInMemory, left: int
) -> None:
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, os.urandom(2 * SEGMENT + 1))
    objects.kept[KEY] = objects.kept[KEY][:left]
    with pytest.raises(DecryptionError, match=r"^a file was cut short$"):
        await whole(files)


@pytest.mark.parametrize("size", [3, 5])
async def test_a_segment_of_another_length_than_the_head_says_is_refused(
    files: SealedFiles, objects: ObjectsInMemory, size: int
) -> None:
    """Even one that was sealed for its place: what is served is as long as was announced."""
    bound = context("file", SESSION, ATTACHMENT, SEGMENT, SEALED, size, 0, 1)
    objects.kept[KEY] = head_of(SEGMENT, SEALED, size) + ENCRYPTOR.encrypt(b"Halo", bound)
    with pytest.raises(DecryptionError, match=r"^a file was cut short$"):
        await whole(files)


async def test_a_small_file_is_read_at_once_and_may_be_read_again(
    files: SealedFiles, objects: ObjectsInMemory
) -> None:
    content = os.urandom(SEGMENT)
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, content)
    file = await files.open(ENCRYPTOR, SESSION, ATTACHMENT)
    assert file is not None
    for times in (1, 2):
        assert b"".join([piece async for piece in file.read()]) == content
        assert objects.times == times


async def test_segments_are_read_together_once_a_reader_keeps_up(
    files: SealedFiles, objects: ObjectsInMemory
) -> None:
    """First one alone, which came with the head; then two at a time, as far as there are some."""
    await files.put(ENCRYPTOR, SESSION, ATTACHMENT, os.urandom(6 * SEGMENT))
    file = await files.open(ENCRYPTOR, SESSION, ATTACHMENT)
    assert file is not None
    seen = [(objects.times, len(piece)) async for piece in file.read()]
    assert seen == [(times, SEGMENT) for times in (1, 2, 2, 3, 3, 4)]
    objects.times = 0
    seen = [(objects.times, len(piece)) async for piece in file.read(2 * SEGMENT)]
    assert seen == [(times, SEGMENT) for times in (1, 2, 2, 3)]
