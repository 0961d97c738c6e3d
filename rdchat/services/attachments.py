"""What participants do with files: send one with a message, get a link to one, open it by its link.

Longer than most: what a failure leaves of a file, between its row, its object and its message, is swept away
here as well, and is read beside the order in which they are written.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.common.turns import Turns
from rdchat.domain import permissions
from rdchat.domain.audit import AuditKind
from rdchat.postgres import attachments, messages, sessions
from rdchat.postgres.data_keys import KeyOwner, session_owner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import DecryptionError
from rdchat.services.chat import mismatch, must_be_open, must_repeat
from statemachine import Attachment, SendMessage
from statemachine.states import OPEN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.message import Message
    from rdchat.domain.person import Caller
    from rdchat.files.examiner import Examiner, Upload
    from rdchat.files.links import Link, Links
    from rdchat.postgres.attachments import SentAttachment
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.security.sealed_files import SealedFile, SealedFiles
    from rdchat.services.access_list import AccessList
    from rdchat.services.audit import AuditTrail
    from rdchat.services.chat import ChatService
    from statemachine import Session

log = structlog.get_logger(__name__)

#: How long an upload may be under way at the most, generously: what is pending for longer was left behind.
_LEFT_BEHIND: Final = timedelta(hours=1)
_SWEEP_SECONDS: Final = 600.0
_SWEEP_PAGE: Final = 100
#: So many files are opened at a time: each takes some milliseconds in small steps, and those of fifty at once
#: would stand between all steps of those who chat.
_OPENED_TOGETHER: Final = 4
_OPEN: Final = sorted(OPEN)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file for a caller who may see it. `size` is that of its content."""

    attachment: Attachment
    size: int
    _file: SealedFile
    _person_id: UUID
    _turns: Turns
    _on_change: Callable[[], None]

    async def read(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Read a part of it, in pieces.

        Raise RdchatError: NOT_FOUND where it was changed, RATE_LIMITED, UNAVAILABLE.
        """
        async with self._turns.turn(self._person_id):
            try:
                async for piece in self._file.read(start, stop):
                    yield piece
            except DecryptionError as error:
                self._on_change()
                raise RdchatError(ErrorCode.NOT_FOUND) from error


@dataclass(slots=True, kw_only=True)
class AttachmentService:
    """Files in the chat, for its participants."""

    pool: Pool
    chat: ChatService
    access: AccessList
    files: SealedFiles
    examiner: Examiner
    links: Links
    keys: DataKeys
    clock: Clock
    audit: AuditTrail
    reading: Turns = field(
        default_factory=lambda: Turns("readers of files", at_once=16, waiting=64, in_all=256, patience=20.0)
    )
    _opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OPENED_TOGETHER))
    _sweeping: asyncio.Task[None] | None = None

    # ---- sending ------------------------------------------------------------------------------------------

    async def check_upload(self, caller: Caller, session_id: UUID, client_message_id: str | None) -> None:
        """Ask whether it is worth reading a file that the caller begins to send; the engine decides for good.

        Raise RdchatError: CHAT_NOT_ENABLED, SESSION_ENDED, NOT_PARTICIPANT, SESSION_NOT_FOUND, UNAVAILABLE.
        """
        session = await self.chat.get_session(caller, session_id, content=True)
        if not session.is_open and await self._first(caller, session, client_message_id) is None:
            must_be_open(session)

    async def may_send_somewhere(self, caller: Caller) -> bool:
        """Ask whether a chat of the caller is open: whether it is worth reading a file that names none.

        Raise UnavailableError.
        """
        return bool(await sessions.list_sessions(self.pool, caller.id, statuses=_OPEN, before=None, limit=1))

    async def send_file(
        self,
        caller: Caller,
        session_id: UUID,
        upload: Upload,
        *,
        message_id: UUID,
        caption: str,
        client_message_id: str | None,
        again: bool = False,
    ) -> tuple[Session, Message, bool]:
        """Send a file as a message.

        Return the session, the message, and whether it is new: a repeated clientMessageId gives the first
        one, and its file is not kept. `again`: one with this id may have been sent before.

        Raise RdchatError: as `check_upload`; VALIDATION_FAILED for a file that cannot be sent;
        IDEMPOTENCY_MISMATCH where the first one says something else, or has another file.
        """
        session = await self.chat.get_session(caller, session_id, content=True)
        first = await self._first(caller, session, client_message_id)
        sent = (
            await messages.get_message(self.pool, session.id, message_id, keys=self.keys) if again else None
        )
        if sent is not None:
            return session, sent, True
        if first is None:
            must_be_open(session)
        examined = await self.examiner.examine(upload)
        attachment = Attachment(
            uuid4(),
            examined.file_name,
            examined.content_type,
            len(examined.content),
            examined.width,
            examined.height,
            examined.duration_ms,
        )
        if first is not None:
            must_repeat(first, caption, attachment)
            await self._must_be_the_file_of(first, examined.content)
            return session, first, False
        async with acquire(self.pool) as connection:
            encryptor = await self.keys.get(connection, session_owner(session))
            await attachments.insert_pending(
                connection, session_id, caller.id, attachment, at=self.clock.now(), encryptor=encryptor
            )
        await self.files.put(encryptor, session_id, attachment.id, examined.content)
        try:
            command = SendMessage(message_id, caller.id, caption, client_message_id, attachment)
            session, message, is_new = await self.chat.send_message(caller, command, session_id, again=again)
        except UnavailableError:
            # It may have been sent or not: the cleaner will see.
            raise
        except RdchatError:
            await self._discard(session_id, attachment.id)
            raise
        if not is_new:
            await self._discard(session_id, attachment.id)
            await self._must_be_the_file_of(message, examined.content)
        return session, message, is_new

    async def _must_be_the_file_of(self, message: Message, content: bytes) -> None:
        """Raise IDEMPOTENCY_MISMATCH where a message has another file; one that is gone is not compared."""
        if message.attachment is None:
            return
        kept = await self._file(message.session_id, message.attachment.id)
        if kept is None:
            return
        compared = 0
        try:
            async with aclosing(kept.read()) as pieces:
                async for piece in pieces:
                    if piece != content[compared : compared + len(piece)]:
                        raise mismatch()
                    compared += len(piece)
        except DecryptionError:
            # As one that is gone.
            self.keys.alarm("file", message.session_id)
            return
        if compared != len(content):
            raise mismatch()

    async def _first(self, caller: Caller, session: Session, client_message_id: str | None) -> Message | None:
        if client_message_id is None:
            return None
        key = caller.id, client_message_id
        found = await messages.list_messages_by_client_id(self.pool, session.id, [key], keys=self.keys)
        return found.get(key)

    # ---- opening ------------------------------------------------------------------------------------------

    async def get_attachment(self, caller: Caller, attachment_id: UUID) -> Attachment:
        """Look at an attachment, as a participant of its session.

        Raise RdchatError: NOT_FOUND, NOT_PARTICIPANT, UNAVAILABLE.
        """
        found = await self._sent(attachment_id)
        if not permissions.may_read_content(caller, found):
            raise RdchatError(ErrorCode.NOT_PARTICIPANT)
        return found.attachment

    def make_link(self, caller: Caller, attachment_id: UUID) -> Link:
        """Make a link for a caller who may see the attachment."""
        return self.links.sign(attachment_id, caller.id)

    async def open_file(self, attachment_id: UUID, token: str) -> OpenedFile:
        """Open an attachment by a link. It is written down that its person did.

        Raise RdchatError: FORBIDDEN for a link that is forged, expired or of another attachment; NOT_FOUND,
        UNAVAILABLE.
        """
        person_id = self.links.verify(token, attachment_id)
        if person_id is None or not self.access.is_active(person_id):
            raise RdchatError(ErrorCode.FORBIDDEN, "This link is not valid, or not any more")
        async with self._opening:
            return await self._open_for(person_id, attachment_id)

    async def _open_for(self, person_id: UUID, attachment_id: UUID) -> OpenedFile:
        found = await self._sent(attachment_id)
        if not permissions.takes_part(person_id, found):
            raise RdchatError(ErrorCode.FORBIDDEN)
        file = await self._file(found.session_id, attachment_id)
        if file is None:
            raise RdchatError(ErrorCode.NOT_FOUND)
        await self.audit.record(
            AuditKind.CONTENT_READ,
            "attachment",
            person_id,
            session_id=found.session_id,
            subject_id=attachment_id,
        )
        changed = partial(self.keys.alarm, "file", found.session_id)
        return OpenedFile(found.attachment, file.size, file, person_id, self.reading, changed)

    async def _file(self, session_id: UUID, attachment_id: UUID) -> SealedFile | None:
        """Open a file; None, and an alarm, where it does not open or is not there."""
        async with acquire(self.pool) as connection:
            found = await self.keys.find(connection, [KeyOwner(session_id, None)])
        if session_id not in found:
            self.keys.alarm("file", session_id)
            return None
        try:
            file = await self.files.open(found[session_id], session_id, attachment_id)
        except DecryptionError:
            self.keys.alarm("file", session_id)
            return None
        if file is None:
            log.error("a file that was sent is not in its storage", attachment=str(attachment_id))
        return file

    async def _sent(self, attachment_id: UUID) -> SentAttachment:
        found = await attachments.get_attachment(self.pool, attachment_id, keys=self.keys)
        if found is None:
            raise RdchatError(ErrorCode.NOT_FOUND)
        return found

    # ---- cleaning -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to clean up, now and then."""
        self._sweeping = keep_running(self._sweep_for_ever, "attachments left behind")

    async def close(self) -> None:
        """Stop cleaning up."""
        await cancel(self._sweeping)

    async def _sweep_for_ever(self) -> None:
        while True:
            with suppress(UnavailableError):
                await self.sweep()
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Take away what was announced long ago and never sent. Return how many.

        The object goes first: an object without a row would never be found again. Raise UnavailableError.
        """
        swept = 0
        while True:
            left = await attachments.list_orphans(
                self.pool, before=self.clock.now() - _LEFT_BEHIND, limit=_SWEEP_PAGE
            )
            for session_id, attachment_id in left:
                await self._take_away(session_id, attachment_id)
            swept += len(left)
            if len(left) < _SWEEP_PAGE:
                return swept

    async def _discard(self, session_id: UUID, attachment_id: UUID) -> None:
        try:
            await self._take_away(session_id, attachment_id)
        except UnavailableError:
            log.info("a file that was not sent is left to the cleaner", attachment=str(attachment_id))

    async def _take_away(self, session_id: UUID, attachment_id: UUID) -> None:
        await self.files.delete(session_id, attachment_id)
        await attachments.delete_orphan(self.pool, session_id, attachment_id)
