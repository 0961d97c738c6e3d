"""What psychologists note about their clients: theirs alone, also after a hand-over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.audit import AuditKind
from rdchat.domain.client_notes import ClientNotes
from rdchat.postgres import client_notes, people
from rdchat.postgres.data_keys import DataKeyError
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.services.audit import AuditTrail


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientNotesService:
    """Notes about clients, for the psychologist who wrote them.

    A client is known to those who have a counselling with them, or have had one when they wrote what is still
    there: a hand-over takes no notes away, and gives none.
    """

    pool: Pool
    keys: DataKeys
    clock: Clock
    audit: AuditTrail

    async def get_client_notes(self, caller: Caller, client_id: UUID) -> ClientNotes:
        """Read what the caller has noted about a client. Raise RdchatError (NOT_FOUND).

        It is written down that they did.
        """
        async with acquire(self.pool) as connection:
            found = await self._get(connection, caller, client_id)
        if found.text:
            await self.audit.record(AuditKind.CONTENT_READ, "client_notes", caller.id, subject_id=client_id)
        return found

    async def save_client_notes(
        self,
        caller: Caller,
        client_id: UUID,
        text: str,
        *,
        is_expected: Callable[[ClientNotes], bool] = lambda _: True,
    ) -> ClientNotes:
        """Replace what the caller has noted; an empty text deletes it, and the same again changes nothing.

        Nothing is replaced unless what is there `is_expected` by the caller. Return what is there now.

        Raise RdchatError: NOT_FOUND, PRECONDITION_FAILED.
        """
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            # Locks the caller's row: where nothing is noted yet, there is no other.
            await people.upsert_person(connection, caller, now)
            try:
                former = await self._get(connection, caller, client_id)
            except DataKeyError:
                # Altered where they are stored: they cannot be read any more, but new ones can be written.
                former = ClientNotes()
            if not is_expected(former):
                raise RdchatError(ErrorCode.PRECONDITION_FAILED)
            if text == former.text:
                return former
            if not text:
                await client_notes.delete_client_notes(connection, caller.id, client_id)
                return ClientNotes()
            await client_notes.put_client_notes(connection, caller.id, client_id, text, now, keys=self.keys)
        return ClientNotes(text, now)

    async def _get(self, connection: Connection, caller: Caller, client_id: UUID) -> ClientNotes:
        found = await client_notes.get_client_notes(connection, caller.id, client_id, keys=self.keys)
        if found is not None:
            return found
        if not await client_notes.has_counseled(connection, caller.id, client_id):
            raise RdchatError(ErrorCode.NOT_FOUND, "Client not found")
        return ClientNotes()
