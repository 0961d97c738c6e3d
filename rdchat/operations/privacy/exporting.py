"""All that is kept of a person and that they may see, for themselves: as JSON, or as a text to read.

It comes piece by piece, a counselling with its whole chat at a time: a psychologist may have thousands. That
it was exported is written down for each session first, where the other of the two can see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.json import as_json
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.counseling import CounselingFilter
from rdchat.postgres import (
    audit,
    counseling_lists,
    counselings,
    exporting,
    messages,
    notifications,
    sessions,
)
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.message import Message
    from rdchat.domain.operator_action import Operator
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.security.sealed_files import SealedFiles

_PAGE: Final = 100
#: Name of a list in the export, and one of what is in it.
Piece = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportService:
    """Collects what is kept of a person."""

    pool: Pool
    keys: DataKeys
    files: SealedFiles
    clock: Clock

    async def begin(self, operator: Operator, person_id: UUID) -> dict[str, Any]:
        """Read who a person is, and write down that they are exported. Raise RdchatError (NOT_FOUND)."""
        async with transaction(self.pool) as connection:
            facts = await exporting.get_facts(connection, person_id)
            if facts is None:
                raise RdchatError(ErrorCode.NOT_FOUND, "Person not found")
            await audit.insert_entries(connection, [self._entry(operator, person_id, None)], keys=self.keys)
            return facts | await exporting.list_own(connection, person_id, self.keys)

    async def pieces(self, operator: Operator, person_id: UUID) -> AsyncIterator[Piece]:
        """Read all that is in lists: counsellings with their chats, then notifications. Latest first."""
        before = None
        while True:
            part = CounselingFilter(status=None, since=None, until=None, before=before, limit=_PAGE)
            found = await counseling_lists.list_counselings(
                self.pool, part, person_id=person_id, at=self.clock.now()
            )
            reasons = await counselings.get_cancel_reasons(self.pool, found, keys=self.keys)
            for one in found:
                yield "counselings", await self._counseling(operator, person_id, one, reasons.get(one.id))
            if len(found) < _PAGE:
                break
            before = found[-1].slot.starts_at, found[-1].id
        async for piece in self._notifications(person_id):
            yield piece

    async def read_file(self, session_id: UUID, attachment_id: UUID) -> bytes | None:
        """Read a file that was sent in a session; None where it is not there, or does not open."""
        async with acquire(self.pool) as connection:
            found = await self.keys.find(connection, [KeyOwner(session_id, None)])
        if session_id not in found:
            return None
        file = await self.files.open(found[session_id], session_id, attachment_id)
        if file is None:
            return None
        return b"".join([piece async for piece in file.read()])

    async def _counseling(
        self, operator: Operator, person_id: UUID, one: Counseling, reason: str | None
    ) -> dict[str, Any]:
        return {
            "id": one.id,
            "as": "client" if person_id == one.client_id else "psychologist",
            "method": one.method,
            "status": one.status,
            "startsAt": iso(one.slot.starts_at),
            "endsAt": iso(one.slot.ends_at),
            "timezone": one.timezone_of(person_id),
            "client": one.client_name,
            "psychologist": one.psychologist_name,
            "notes": await counselings.get_notes(self.pool, one, keys=self.keys),
            "cancelReason": reason,
            "chat": await self._chat(operator, person_id, one.session_id),
        }

    async def _chat(
        self, operator: Operator, person_id: UUID, session_id: UUID | None
    ) -> dict[str, Any] | None:
        session = await sessions.get_session(self.pool, session_id) if session_id is not None else None
        if session is None:
            return None
        async with transaction(self.pool) as connection:
            entry = self._entry(operator, person_id, session.id)
            await audit.insert_entries(connection, [entry], keys=self.keys)
        said: list[dict[str, Any]] = []
        for first in range(1, session.last_seq + 1, _PAGE):
            stop = min(first + _PAGE, session.last_seq + 1)
            page = await messages.list_messages(self.pool, session, first=first, stop=stop, keys=self.keys)
            said += map(_message, page)
        timeline = await sessions.list_timeline(self.pool, session.id)
        return {
            "id": session.id,
            "status": session.status.value,
            "startedAt": _iso(session.started_at),
            "endedAt": _iso(session.ended_at),
            "endReason": session.end_reason,
            "messages": said,
            "timeline": [
                {"at": iso(one.at), "what": one.trigger, "from": one.source, "to": one.destination}
                for one in timeline
            ],
        }

    async def _notifications(self, person_id: UUID) -> AsyncIterator[Piece]:
        before = None
        while True:
            found, _ = await notifications.list_notifications(
                self.pool, person_id, before=before, limit=_PAGE, keys=self.keys
            )
            for one in found:
                yield (
                    "notifications",
                    {
                        "at": iso(one.created_at),
                        "type": one.type.value,
                        "title": one.title,
                        "message": one.message,
                        "reason": one.reason,
                        "counselingId": one.counseling_id,
                        "readAt": _iso(one.read_at),
                    },
                )
            if len(found) < _PAGE:
                return
            before = found[-1].created_at, found[-1].id

    def _entry(self, operator: Operator, person_id: UUID, session_id: UUID | None) -> AuditEntry:
        return AuditEntry(
            at=self.clock.now(),
            kind=AuditKind.PERSON_EXPORTED,
            action="export",
            actor_id=operator.actor_id,
            subject_id=person_id,
            session_id=session_id,
            detail={"reason": operator.reason} if operator.reason is not None else None,
        )


async def as_json_text(
    facts: dict[str, Any], pieces: AsyncIterator[Piece], at: datetime
) -> AsyncIterator[bytes]:
    """Write an export as one JSON object, piece by piece."""
    yield b'{"exportedAt":' + as_json(iso(at)) + b',"person":' + as_json(facts)
    current = None
    async for name, one in pieces:
        if name != current:
            yield (b"]," if current is not None else b",") + as_json(name) + b":["
            current = name
        else:
            yield b","
        yield as_json(one)
    yield b"]}\n" if current is not None else b"}\n"


async def as_plain_text(
    facts: dict[str, Any], pieces: AsyncIterator[Piece], at: datetime
) -> AsyncIterator[bytes]:
    """Write an export as a text to read, piece by piece."""
    yield head_as_text(facts, at)
    async for piece in pieces:
        yield piece_as_text(piece)


def head_as_text(facts: dict[str, Any], at: datetime) -> bytes:
    """Write the beginning of an export as a text to read: who the person is, and what they keep."""
    head = [f"{facts['fullName']} · {iso(at)}", "=" * 60]
    head += [f"{name}: {_shown(value)}" for name, value in facts.items() if not isinstance(value, list)]
    for name in ("clientNotes", "quickReplies"):
        for one in facts[name]:
            head += ["", f"{name}: " + " · ".join(_shown(value) for value in one.values())]
    return ("\n".join(head) + "\n").encode()


def piece_as_text(piece: Piece) -> bytes:
    """Write a piece of an export as a text to read."""
    name, one = piece
    lines = _counseling_lines(one) if name == "counselings" else _told_lines(one)
    return ("\n" + "\n".join(lines) + "\n").encode()


def _counseling_lines(one: dict[str, Any]) -> list[str]:
    lines = [
        "-" * 60,
        f"{one['startsAt']} - {one['endsAt']}  {one['method']}  {one['status']}",
        f"{one['client']} · {one['psychologist']}",
    ]
    lines += [f"{name}: {one[name]}" for name in ("notes", "cancelReason") if one[name] is not None]
    for said in (one["chat"] or {}).get("messages", ()):
        file = said["attachment"]
        lines.append(f"  {said['at']}  {said['sender']}: {said['text']}")
        if file is not None:
            lines.append(f"      [{file['fileName']}, {file['contentType']}, {file['size']:,} bytes]")
    return lines


def _told_lines(one: dict[str, Any]) -> list[str]:
    return [f"{one['at']}  {one['title']}", f"  {one['message']}"]


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _message(one: Message) -> dict[str, Any]:
    file = one.attachment
    return {
        "seq": one.seq,
        "at": iso(one.created_at),
        "senderId": one.sender_id,
        "sender": one.sender_name,
        "type": one.message_type.value,
        "text": one.text,
        "readAt": _iso(one.read_at),
        "attachment": None
        if file is None
        else {
            "id": file.id,
            "fileName": file.file_name,
            "contentType": file.content_type,
            "size": file.size,
        },
    }


def _iso(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None
