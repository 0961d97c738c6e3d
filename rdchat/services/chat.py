"""What participants do in a chat: send, read, end.

Longer than most: each of these asks first who may do it and see it, and is best compared with the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Never

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.domain import permissions
from rdchat.domain.audit import AuditKind
from rdchat.events import channels, outbox_entry, payloads
from rdchat.postgres import activity, messages, reads, sessions
from rdchat.postgres.data_keys import DataKeyError, session_owner
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.publisher import LEASE
from statemachine import EndSession, Refusal, RefusalCode, SendMessage, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.message import Message
    from rdchat.domain.person import Caller
    from rdchat.domain.timeline import TimelineEntry
    from rdchat.engine.engine import Engine
    from rdchat.engine.post_commit import EntryPublisher
    from rdchat.engine.result import CommandResult
    from rdchat.postgres.activity import Marks
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.ably_client import AblyClient
    from rdchat.services.audit import AuditTrail
    from statemachine import Attachment, Session

#: No one is reminded of what they left unread in sessions that started before.
_UNREAD_SINCE: Final = timedelta(days=30)
#: Messages at a time: of the longest ones, less than two megabytes.
_TRANSCRIPT_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A session in a list, with what the caller may read of it; `active_at`: when something happened last."""

    session: Session
    marks: Marks
    active_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a session's history: a page (1 is the newest), or what lies `before` or `after` a seq."""

    limit: int
    page: int = 1
    before: int | None = None
    after: int | None = None

    def bounds(self, last_seq: int) -> tuple[int, int]:
        """Give the first seq and the one behind the last. `seq` is dense, so this needs no counting."""
        if self.after is not None:
            return self.after + 1, min(self.after + self.limit, last_seq) + 1
        behind = last_seq + 1
        paged = behind - (self.page - 1) * self.limit
        stop = paged if self.before is None else min(self.before, behind)
        return max(stop - self.limit, 1), max(stop, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatService:
    """The chat, for its participants."""

    pool: Pool
    engine: Engine
    ably: AblyClient
    publisher: EntryPublisher
    keys: DataKeys
    clock: Clock
    audit: AuditTrail

    # ---- writing ------------------------------------------------------------------------------------------

    async def send_message(
        self, caller: Caller, command: SendMessage, session_id: UUID, *, again: bool = False
    ) -> tuple[Session, Message, bool]:
        """Send a message. `again`: one with this id may have been sent before.

        Its attachment is stored already, and not sent otherwise.

        Return the session, the message, and whether it is new: a repeated clientMessageId gives the first
        one.

        Raise RdchatError: CHAT_NOT_ENABLED, SESSION_ENDED, NOT_PARTICIPANT, SESSION_NOT_FOUND, UNAVAILABLE;
        IDEMPOTENCY_MISMATCH where the first one says something else.
        """
        outcome = _accepted(await self.engine.submit(session_id, command, actor_id=caller.id, again=again))
        message = outcome.message
        if message is None:  # pragma: no cover - an accepted SendMessage has its message
            raise UnavailableError("engine")
        if outcome.repeated:
            must_repeat(message, command.text, command.attachment)
        return outcome.session, message, not outcome.repeated

    async def end_session(self, caller: Caller, session_id: UUID) -> Session:
        """End an open chat before its time; the one who has ended it may say so again.

        Raise RdchatError: ILLEGAL_TRANSITION, NOT_PARTICIPANT, SESSION_NOT_FOUND, UNAVAILABLE.
        """
        result = await self.engine.submit(session_id, EndSession(caller.id), actor_id=caller.id)
        if isinstance(result, Refusal) and result.status is Status.COMPLETED:
            session = await self.get_session(caller, session_id)
            if session.ended_by == caller.id:
                return session
        return _accepted(result).session

    async def send_typing(self, caller: Caller, session_id: UUID, *, is_typing: bool) -> None:
        """Tell the other participant that the caller is typing; not kept, and lost while Ably is away."""
        session = await self.get_session(caller, session_id, content=True)
        must_be_open(session)
        try:
            await self.ably.publish_now(
                channels.typing_channel(session.id),
                channels.TYPING,
                payloads.typing_data(caller.id, is_typing=is_typing, at=self.clock.now()),
                client_id=str(caller.id),
            )
        except PublishError as error:
            raise UnavailableError("Ably") from error

    # ---- having read --------------------------------------------------------------------------------------

    async def mark_read(
        self, caller: Caller, session_id: UUID, up_to_seq: int | None
    ) -> tuple[int, datetime | None]:
        """Note that a participant has read up to a message (None: all there is), and tell the other.

        Return how far they have read now, and since when. Going back changes nothing, and no one is told.
        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT, UNAVAILABLE.
        """
        known = self.engine.get_remembered(session_id)
        if known is not None and permissions.may_read_content(caller, known):
            # In most cases it is as it was, which the statement itself sees: one round trip.
            read = await self._mark_read(caller, known, up_to_seq, at_version=True)
            if read is not None:
                return read
        session = await self.get_session(caller, session_id, content=True)
        read = await self._mark_read(caller, session, up_to_seq, at_version=False)
        if read is None:  # pragma: no cover - sessions are never deleted
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        return read

    async def _mark_read(
        self, caller: Caller, session: Session, up_to_seq: int | None, *, at_version: bool
    ) -> tuple[int, datetime | None] | None:
        seq = session.last_seq if up_to_seq is None else min(up_to_seq, session.last_seq)
        now = self.clock.now()
        entry = outbox_entry.read_entry(session.id, session.version, caller.id, seq, now)
        try:
            horizon = await reads.insert_read(
                self.pool,
                caller.id,
                seq,
                entry,
                owner=session_owner(session),
                keys=self.keys,
                lease=LEASE,
                is_there=session.is_open,
                at_version=at_version,
            )
        except DataKeyError as error:
            if not error.erased:
                raise
            # There is nothing left to read, and no one to tell.
            found = await reads.list_read_horizons(self.pool, caller.id, [session.id])
            return found[session.id][0], None
        if horizon is None:
            return None
        if horizon.is_further:
            self.publisher.hand_over([entry])
        return horizon.up_to_seq, horizon.read_at

    async def get_read_horizons(self, caller: Caller, session: Session) -> tuple[int, int] | None:
        """Return how far a participant has read, and how far the other; None for those who only oversee."""
        if not permissions.may_read_content(caller, session):
            return None
        found = await reads.list_read_horizons(self.pool, caller.id, [session.id])
        return found[session.id]

    async def count_unread(self, caller: Caller) -> dict[UUID, int]:
        """Count what the caller has not read, by session of the last thirty days."""
        return await reads.count_unread_since(self.pool, caller.id, self.clock.now() - _UNREAD_SINCE)

    # ---- reading ------------------------------------------------------------------------------------------

    async def get_session(self, caller: Caller, session_id: UUID, *, content: bool = False) -> Session:
        """Read a session as one of its participants, or as an administrator unless `content` is wanted.

        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT, UNAVAILABLE.
        """
        session = await sessions.get_session(self.pool, session_id)
        if session is None:
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        may = permissions.may_read_content if content else permissions.may_see_state
        if not may(caller, session):
            raise RdchatError(ErrorCode.NOT_PARTICIPANT)
        return session

    async def list_sessions(
        self,
        caller: Caller,
        *,
        statuses: list[Status] | None,
        before: tuple[Any, UUID] | None,
        limit: int,
        by_activity: bool = False,
    ) -> list[SessionEntry]:
        """List the caller's sessions, latest start first, or latest activity first."""
        list_ = activity.list_sessions_by_activity if by_activity else sessions.list_sessions
        found = await list_(self.pool, caller.id, statuses=statuses, before=before, limit=limit)
        readable = {session.id for session in found if permissions.may_read_content(caller, session)}
        marks = await activity.list_marks(self.pool, caller.id, found, readable, keys=self.keys)
        return [SessionEntry(session, marks[session.id], activity.activity(session)) for session in found]

    async def list_messages(
        self, caller: Caller, session_id: UUID, window: Window
    ) -> tuple[Session, list[Message]]:
        """Read a window of the messages, oldest first. It is written down that the caller did."""
        session = await self.get_session(caller, session_id, content=True)
        first, stop = window.bounds(session.last_seq)
        found = await messages.list_messages(self.pool, session, first=first, stop=stop, keys=self.keys)
        await self.audit.record(AuditKind.CONTENT_READ, "history", caller.id, session_id=session_id)
        return session, found

    async def get_timeline(self, caller: Caller, session_id: UUID) -> tuple[Session, list[TimelineEntry]]:
        """Read what happened to a session."""
        session = await self.get_session(caller, session_id)
        return session, await sessions.list_timeline(self.pool, session_id)

    async def read_transcript(
        self, caller: Caller, session_id: UUID
    ) -> tuple[Session, list[TimelineEntry], AsyncIterator[list[Message]]]:
        """Read all of a session as one of its participants: its messages in pages, oldest first.

        The first page is read at once, so that what is wrong is known before anything is said; no connection
        is held between pages, however slowly they are taken. Raise RdchatError like `get_session`.
        """
        session = await self.get_session(caller, session_id, content=True)
        await self.audit.record(AuditKind.CONTENT_READ, "transcript", caller.id, session_id=session_id)
        timeline = await sessions.list_timeline(self.pool, session.id)
        return session, timeline, self._pages(session, await self._page(session, 1))

    async def _pages(self, session: Session, page: list[Message]) -> AsyncIterator[list[Message]]:
        while page:
            yield page
            following = page[-1].seq + 1
            page = await self._page(session, following) if following <= session.last_seq else []

    async def _page(self, session: Session, first: int) -> list[Message]:
        stop = min(first + _TRANSCRIPT_PAGE, session.last_seq + 1)
        return await messages.list_messages(self.pool, session, first=first, stop=stop, keys=self.keys)


def _accepted(result: CommandResult | Refusal) -> CommandResult:
    if isinstance(result, Refusal):
        refuse(result)
    return result


def refuse(refusal: Refusal, sentence: str = "This is not possible: the chat session is {status}") -> Never:
    """Turn a refusal into what HTTP says. Only here do refusals become exceptions.

    `sentence` says what the state does not allow.
    """
    if refusal.code in (RefusalCode.NOT_DUE, RefusalCode.SETTLED):  # pragma: no cover - only timers get these
        raise RdchatError(ErrorCode.INTERNAL)
    code = ErrorCode(refusal.code.value)
    if code is ErrorCode.ILLEGAL_TRANSITION and refusal.status is not None:
        raise RdchatError(code, sentence.format(status=refusal.status.value))
    raise RdchatError(code)


def must_repeat(first: Message, text: str, attachment: Attachment | None) -> None:
    """Raise IDEMPOTENCY_MISMATCH unless a message with the clientMessageId of `first` says the same.

    Of a file, this knows what is told of it; what is in it is not compared.
    """
    kept = first.attachment
    if attachment is not None and kept is not None:
        attachment = replace(attachment, id=kept.id)
    if (first.text, kept) != (text, attachment):
        raise mismatch()


def mismatch() -> RdchatError:
    """Say that a clientMessageId was used before, for something else."""
    return RdchatError(ErrorCode.IDEMPOTENCY_MISMATCH, "This clientMessageId was used with another message")


def must_be_open(session: Session) -> None:
    """Raise SESSION_ENDED or CHAT_NOT_ENABLED unless participants can write now."""
    if session.is_over:
        raise RdchatError(ErrorCode.SESSION_ENDED)
    if not session.is_open:
        raise RdchatError(ErrorCode.CHAT_NOT_ENABLED)
