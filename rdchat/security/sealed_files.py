"""Files as they are stored: sealed in segments, so that a part is opened without the rest.

A stored file is `mark (15 bytes) | bytes of a segment (4) | of a sealed one (4) | of the file (8)`, then the
segments. Each is sealed for one place alone: what is bound to it says that it is part of a file, of which
session and attachment, with which head, the how-manieth it is and whether it is the last. A segment that is
left out, moved, or put in from elsewhere does not open, and a file that is cut short is noticed at its end.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.common.errors import UnavailableError
from rdchat.security.encryption import DecryptionError, context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from rdchat.files.storage import FileStorage
    from rdchat.security.encryption import Encryptor

_MARK: Final = b"\0rdchat file 1\n"
_HEAD: Final = struct.Struct(f">{len(_MARK)}sIIQ")
_SEGMENT_BYTES: Final = 64 * 1024
#: What sealing adds to a segment, generously: enough to read the first one together with the head.
_ADDED_BYTES: Final = 1_024
#: Segments are read together, more of them the longer a reader keeps up: for a slow one, few are held.
_MOST_TOGETHER: Final = 2
#: Reads at a time, of all files: each is over soon, as no reader is waited for meanwhile.
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Whose:
    session_id: UUID
    attachment_id: UUID

    @property
    def key(self) -> str:
        return f"{self.session_id}/{self.attachment_id}"


def seal(encryptor: Encryptor, content: bytes, session_id: UUID, attachment_id: UUID) -> bytes:
    """Return a file as it is stored."""
    whose = _Whose(session_id, attachment_id)
    segments = max(1, -(-len(content) // _SEGMENT_BYTES))
    # How long a sealed one is has to be known for the head, which is bound to each of them.
    sealed_bytes = len(encryptor.encrypt(b"", b"")) + _SEGMENT_BYTES
    head = _HEAD.pack(_MARK, _SEGMENT_BYTES, sealed_bytes, len(content))
    parts = [head]
    for number in range(segments):
        segment = content[number * _SEGMENT_BYTES : (number + 1) * _SEGMENT_BYTES]
        parts.append(encryptor.encrypt(segment, _context(whose, head, number, last=number == segments - 1)))
        if number < segments - 1 and len(parts[-1]) != sealed_bytes:
            raise ValueError("sealed segments differ in length")
    return b"".join(parts)


def _context(whose: _Whose, head: bytes, number: int, *, last: bool) -> bytes:
    _, *sizes = _HEAD.unpack(head)
    return context("file", whose.session_id, whose.attachment_id, *sizes, number, int(last))


class SealedFile:
    """A stored file that is open for reading. `size` is that of its content, in bytes."""

    def __init__(
        self, files: SealedFiles, encryptor: Encryptor, whose: _Whose, head: bytes, first: bytes
    ) -> None:
        mark, self._segment_bytes, self._sealed_bytes, self.size = _HEAD.unpack(head)
        if mark != _MARK or not 0 < self._segment_bytes < self._sealed_bytes < 2**24:
            raise DecryptionError("the head of a file was changed")
        self._segments = max(1, -(-self.size // self._segment_bytes))
        self._files = files
        self._encryptor = encryptor
        self._whose = whose
        self._head = head
        self._first = first[: self._sealed_bytes]

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read from `start` to before `stop`, or to the end, in pieces.

        Raise DecryptionError where something was changed, UnavailableError.
        """
        stop = self.size if stop is None else min(stop, self.size)
        number, together = start // self._segment_bytes, 1
        last = max(0, stop - 1) // self._segment_bytes
        while number <= last:
            count = min(together, last - number + 1)
            sealed = await self._sealed(number, count)
            for place in range(count):
                begin = (number + place) * self._segment_bytes
                segment = self._opened(number + place, sealed[place])
                yield segment[max(0, start - begin) : stop - begin]
            number += count
            together = min(2 * together, _MOST_TOGETHER)

    async def _sealed(self, number: int, count: int) -> list[bytes]:
        if number == 0 and count == 1 and self._first:
            first, self._first = self._first, b""
            return [first]
        length = self._sealed_bytes
        found = await self._files.read_range(self._whose.key, _HEAD.size + number * length, count * length)
        return [found[place * length : (place + 1) * length] for place in range(count)]

    def _opened(self, number: int, sealed: bytes) -> bytes:
        is_last = number == self._segments - 1
        segment = (
            self._encryptor.decrypt(sealed, _context(self._whose, self._head, number, last=is_last))
            if sealed
            else b""
        )
        wanted = self.size - number * self._segment_bytes if is_last else self._segment_bytes
        if not sealed or len(segment) != wanted:
            raise DecryptionError("a file was cut short")
        return segment


class SealedFiles:
    """Stores files, sealed by what encrypts for their session."""

    def __init__(self, storage: FileStorage) -> None:
        self.storage = storage
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def put(self, encryptor: Encryptor, session_id: UUID, attachment_id: UUID, content: bytes) -> None:
        """Store a file; it is safe when this returns. Raise UnavailableError."""
        sealed = await asyncio.to_thread(seal, encryptor, content, session_id, attachment_id)
        await self.storage.put(_Whose(session_id, attachment_id).key, sealed)

    async def open(self, encryptor: Encryptor, session_id: UUID, attachment_id: UUID) -> SealedFile | None:
        """Open a file; None if there is none. Raise DecryptionError, UnavailableError."""
        whose = _Whose(session_id, attachment_id)
        async with self._reading:
            found = await self.storage.get_range(whose.key, 0, _HEAD.size + _SEGMENT_BYTES + _ADDED_BYTES)
        if found is None:
            return None
        if len(found) < _HEAD.size:
            raise DecryptionError("a file was cut short")
        return SealedFile(self, encryptor, whose, found[: _HEAD.size], found[_HEAD.size :])

    async def delete(self, session_id: UUID, attachment_id: UUID) -> None:
        """Remove a file, if it exists. Raise UnavailableError."""
        await self.storage.delete(_Whose(session_id, attachment_id).key)

    async def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read a part of what is stored. Raise UnavailableError, also where it has gone meanwhile."""
        async with self._reading:
            found = await self.storage.get_range(key, start, length)
        if found is None:
            raise UnavailableError("a file that is read")
        return found
