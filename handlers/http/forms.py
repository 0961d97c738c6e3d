"""Reading `multipart/form-data` with one file in it: strictly, within bounds of size, time and memory.

aiohttp's own `request.post()` takes any parts, writes files to the disk as they are, and reads to the end
before anyone has looked at what comes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError, invalid
from rdchat.files.examiner import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from marshmallow import Schema

T = TypeVar("T")

#: The part that is a file.
FILE: Final = "file"
MEDIA_TYPE: Final = "multipart/form-data"
#: A telephone in a bad net needs its time for a picture of 40 MiB; one that sends nothing has gone.
_WHOLE_SECONDS: Final = 300
_STALLED_SECONDS: Final = 10
_CHUNK_BYTES: Final = 64 * 1024
#: More than any text of ours has in UTF-8.
_TEXT_BYTES: Final = 8 * 1024
#: What a form has beside its file: texts, boundaries, the heads of its parts.
_OVERHEAD_BYTES: Final = 64 * 1024
_PART_HEADERS: Final = 16
#: What all files that are being read or worked on may take up together.
_ALL_BYTES: Final = 256 * 1024 * 1024
_PLAIN: Final = frozenset({"", "binary", "8bit", "7bit"})
#: What aiohttp raises about a body that is no form, or breaks off.
_BROKEN: Final = (
    HttpProcessingError,
    web.RequestPayloadError,
    ConnectionError,
    ValueError,
    RuntimeError,
    AssertionError,
)


class FormReader:
    """Reads forms by a schema. `largest` bounds the file, in bytes."""

    def __init__(self, schema: Schema, *, largest: int) -> None:
        self.names = frozenset(field.data_key or name for name, field in schema.fields.items())
        self.largest = largest
        self._held = 0

    @asynccontextmanager
    async def reading(
        self, request: web.Request, before_file: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> AsyncIterator[dict[str, Any]]:
        """Read a form: texts as `str`, the file as `Upload`. Until the exit, its memory is accounted for.

        `before_file` is called with the texts that come before the file; what it raises ends the reading.

        Raise RdchatError: VALIDATION_FAILED, PAYLOAD_TOO_LARGE, UNAVAILABLE.
        """
        form = _Form(self, request)
        try:
            await form.read(before_file)
            yield form.parts
        finally:
            self._held -= form.held

    def hold(self, size: int) -> None:
        """Account for some more bytes. Raise UnavailableError when there are too many."""
        if self._held + size > _ALL_BYTES:
            raise UnavailableError("memory for files")
        self._held += size


class _Form:
    """One form, as far as it was read."""

    def __init__(self, reader: FormReader, request: web.Request) -> None:
        self.parts: dict[str, Any] = {}
        self.held = 0
        self._reader = reader
        self._request = request
        self._deadline = asyncio.get_running_loop().time() + _WHOLE_SECONDS

    async def read(self, before_file: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        reader = self._opened()
        while (part := await self._within_time(reader.next())) is not None:
            if not isinstance(part, BodyPartReader):
                raise invalid("body", "A form must not contain forms.")
            name = self._name(part)
            if name == FILE:
                await before_file(self.parts)
                self.parts[name] = Upload(part.filename, await self._file(part))
            else:
                self.parts[name] = await self._text(name, part)

    def _opened(self) -> MultipartReader:
        request = self._request
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise invalid("body", "Must not be compressed.")
        if request.content_type != MEDIA_TYPE:
            raise invalid("body", f"The header Content-Type must be {MEDIA_TYPE}.")
        if (request.content_length or 0) > self._reader.largest + _OVERHEAD_BYTES:
            raise self._too_large()
        try:
            return MultipartReader(request.headers, request.content, max_headers=_PART_HEADERS)
        except ValueError as error:
            raise invalid("body", "The header Content-Type must name the boundary.") from error

    def _name(self, part: BodyPartReader) -> str:
        name = part.name
        if not name or not name.isprintable():
            raise invalid("body", "Each part must have a name.")
        if name not in self._reader.names:
            raise invalid(name, "Unknown field.")
        if name in self.parts:
            raise invalid(name, "Given twice.")
        if part.headers.get("Content-Transfer-Encoding", "").lower() not in _PLAIN:
            raise invalid(name, "Must not be encoded.")
        return name

    async def _file(self, part: BodyPartReader) -> bytes:
        content = bytearray()
        while not part.at_eof():
            chunk = await self._within_time(part.read_chunk(_CHUNK_BYTES))
            if len(content) + len(chunk) > self._reader.largest:
                raise self._too_large()
            self._reader.hold(len(chunk))
            self.held += len(chunk)
            content += chunk
        return bytes(content)

    def _too_large(self) -> RdchatError:
        return RdchatError(
            ErrorCode.PAYLOAD_TOO_LARGE,
            f"The file is too large: {_in_words(self._reader.largest)} at most",
        )

    async def _text(self, name: str, part: BodyPartReader) -> str:
        if part.filename is not None:
            raise invalid(name, "Must be a text, not a file.")
        content = bytearray()
        while not part.at_eof():
            content += await self._within_time(part.read_chunk(_TEXT_BYTES))
            if len(content) > _TEXT_BYTES:
                raise invalid(name, "Too long.")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise invalid(name, "Must be UTF-8.") from error
        if "\x00" in text:
            raise invalid(name, "Not a valid text.")
        return text

    async def _within_time(self, reading: Awaitable[T]) -> T:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + _STALLED_SECONDS, self._deadline)):
                return await reading
        except TimeoutError as error:
            text = f"Must arrive within {_WHOLE_SECONDS} seconds, without long pauses."
            raise invalid("body", text) from error
        except _BROKEN as error:
            raise invalid("body", "Not a complete form.") from error


def _in_words(size: int) -> str:
    """Say a number of bytes as people do: `64 MiB`."""
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
