"""Conversations: sessions by what people have said in them, leaving out what the service says by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres import conversations, messages

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.message import Message
    from rdchat.domain.person import Caller
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.services.chat import ChatService
    from statemachine import Session

#: As in `ChatService.count_unread`.
_UNREAD_SINCE: Final = timedelta(days=30)
_MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session, with what a person has said last in it, and how much of that the caller has not read."""

    session: Session
    last_said: Message | None
    unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationService:
    """Conversations, for their participants."""

    pool: Pool
    chat: ChatService
    keys: DataKeys
    clock: Clock

    async def list_conversations(
        self, caller: Caller, *, search: str | None, limit: int, offset: int
    ) -> tuple[list[Conversation], int]:
        """List the caller's own, latest activity first, and count them.

        `search`: only those with people in whose names this is. Raise UnavailableError.
        """
        found, total = await conversations.list_conversations(
            self.pool, caller.id, search=search, limit=limit, offset=offset
        )
        last = await conversations.list_last_said(self.pool, found, keys=self.keys)
        unread = await conversations.count_unread_in(self.pool, caller.id, [one.id for one in found])
        shown = [Conversation(one, last.get(one.id), unread.get(one.id, 0)) for one in found]
        return shown, total

    async def count_unread(self, caller: Caller) -> dict[UUID, int]:
        """Count what the caller has not read, by session of the last thirty days."""
        since = self.clock.now() - _UNREAD_SINCE
        return await conversations.count_unread_since(self.pool, caller.id, since)

    async def count_unread_in(self, caller: Caller, session_id: UUID) -> int:
        """Count what the caller has not read in one session.

        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT.
        """
        session = await self.chat.get_session(caller, session_id, content=True)
        return (await conversations.count_unread_in(self.pool, caller.id, [session.id])).get(session.id, 0)

    async def mark_read(
        self, caller: Caller, session_id: UUID, message_id: UUID
    ) -> tuple[int, datetime | None]:
        """Note that the caller has read up to a message. Return how many were unread, and since when.

        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT, NOT_FOUND, UNAVAILABLE.
        """
        before = await self.count_unread_in(caller, session_id)
        message = await messages.get_message(self.pool, session_id, message_id, keys=self.keys)
        if message is None:
            raise RdchatError(ErrorCode.NOT_FOUND, "Message not found")
        _, at = await self.chat.mark_read(caller, session_id, message.seq)
        return max(0, before - await self.count_unread_in(caller, session_id)), at

    async def list_with_files(self, caller: Caller, session_id: UUID) -> tuple[Session, list[Message]]:
        """Read the messages of a session that have files, latest first: of very many, the latest.

        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT, UNAVAILABLE.
        """
        session = await self.chat.get_session(caller, session_id, content=True)
        found = await conversations.list_with_files(self.pool, session, limit=_MOST_FILES, keys=self.keys)
        return session, found
