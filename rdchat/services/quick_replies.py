"""Quick replies: each person's own, in the order that they want."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.quick_reply import MOST_QUICK_REPLIES, QuickReply, moved
from rdchat.postgres import people, quick_replies
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickReplyService:
    """Quick replies. A caller reaches their own; another's are not there."""

    pool: Pool
    keys: DataKeys
    clock: Clock

    async def list_quick_replies(self, caller: Caller) -> list[QuickReply]:
        """List the caller's, in their order."""
        async with acquire(self.pool) as connection:
            return await self._list(connection, caller)

    async def add_quick_reply(self, caller: Caller, *, title: str, text: str, reply_id: UUID) -> QuickReply:
        """Keep one more, as the last; under an id that the caller has already, nothing happens.

        Raise RdchatError (QUICK_REPLY_LIMIT).
        """
        async with self._locked(caller) as connection:
            kept = await self._list(connection, caller)
            known = next((one for one in kept if one.id == reply_id), None)
            if known is not None:
                return known
            if len(kept) >= MOST_QUICK_REPLIES:
                raise RdchatError(ErrorCode.QUICK_REPLY_LIMIT)
            now = self.clock.now()
            new = QuickReply(
                id=reply_id, title=title, text=text, position=len(kept) + 1, created_at=now, updated_at=now
            )
            await quick_replies.insert_quick_reply(connection, caller.id, new, keys=self.keys)
        return new

    async def change_quick_reply(
        self, caller: Caller, reply_id: UUID, *, title: str | None, text: str | None, position: int | None
    ) -> QuickReply:
        """Change one; None leaves a part as it is, and the same again changes nothing.

        The others make room for it. Raise RdchatError (NOT_FOUND).
        """
        async with self._locked(caller) as connection:
            kept = await self._list(connection, caller)
            former = next((one for one in kept if one.id == reply_id), None)
            if former is None:
                raise RdchatError(ErrorCode.NOT_FOUND, "Quick reply not found")
            present = replace(
                former,
                title=former.title if title is None else title,
                text=former.text if text is None else text,
                position=former.position if position is None else min(position, len(kept)),
            )
            if present == former:
                return former
            present = replace(present, updated_at=self.clock.now())
            await quick_replies.update_quick_reply(connection, caller.id, present, keys=self.keys)
            order = moved([one.id for one in kept], reply_id, present.position)
            await quick_replies.reorder(connection, caller.id, order)
        return present

    async def delete_quick_reply(self, caller: Caller, reply_id: UUID) -> bool:
        """Delete one; the others close the gap. Return whether the caller had it."""
        async with self._locked(caller) as connection:
            deleted = await quick_replies.delete_quick_reply(connection, caller.id, reply_id)
            left = await self._list(connection, caller)
            await quick_replies.reorder(connection, caller.id, [one.id for one in left])
        return deleted

    @asynccontextmanager
    async def _locked(self, caller: Caller) -> AsyncIterator[Connection]:
        """Open a transaction that keeps the caller's row: what is counted and ordered stays so."""
        async with transaction(self.pool) as connection:
            await people.upsert_person(connection, caller, self.clock.now())
            yield connection

    async def _list(self, connection: Connection, caller: Caller) -> list[QuickReply]:
        return await quick_replies.list_quick_replies(connection, caller.id, keys=self.keys)
