"""/audit, and /chat/sessions/{id}/access: what was done, seen and refused; and who has opened a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.api.selection import read_span
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.audit import AuditFilter, AuditKind

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.audit import AuditRow


async def list_audit(call: Call) -> Answer:
    """List what was done, seen and refused, latest first.

    Nothing of what was said is in it. It cannot be changed unseen: `run.py audit verify` finds any row that
    was altered, taken out, put in or exchanged.
    """
    query = call.query
    since, until = read_span(query)
    wanted = AuditFilter(
        kinds=(AuditKind(query["kind"]),) if query["kind"] is not None else None,
        person_id=query["person_id"],
        session_id=query["session_id"],
        since=since,
        until=until,
    )
    limit, of = query["limit"], cursors.AUDIT
    found = await call.runtime.audit.list_entries(
        wanted, before=cursors.read(query["cursor"], of), limit=limit + 1
    )
    shown, following = cursors.cut(found, limit, of, _place)
    return Answer(
        {"data": [audit_json(one) for one in shown], "nextCursor": following}, "Audit retrieved successfully"
    )


async def list_readers(call: Call) -> Answer:
    """See who has opened a chat of one's own: read its messages, its notes, its files, or exported it."""
    limit, of = call.query["limit"], cursors.SESSION_READERS
    before = cursors.read(call.query["cursor"], of)
    audit = call.runtime.audit
    session = await call.runtime.chat.get_session(call.caller, call.path["id"], content=True)
    found = await audit.list_readers(session.id, before=before, limit=limit + 1)
    shown, following = cursors.cut(found, limit, of, _place)
    names = await audit.get_names({one.actor_id for one in shown if one.actor_id is not None})
    return Answer(
        {"data": [_reader_json(one, names) for one in shown], "nextCursor": following},
        "Access retrieved successfully",
    )


def _place(row: AuditRow) -> tuple[Any, UUID]:
    return row.at, row.id


def audit_json(row: AuditRow) -> dict[str, Any]:
    """Show an entry of the audit."""
    return {
        "id": str(row.id),
        "at": iso(row.at),
        "kind": row.kind,
        "action": row.action,
        "outcome": row.outcome,
        "actorId": _maybe(row.actor_id),
        "subjectId": _maybe(row.subject_id),
        "sessionId": _maybe(row.session_id),
        "occurrences": row.occurrences,
        "detail": dict(row.detail) if row.detail is not None else None,
    }


def _reader_json(row: AuditRow, names: dict[UUID, str]) -> dict[str, Any]:
    person_id = row.actor_id
    return {
        "at": iso(row.at),
        "person": (
            {"id": str(person_id), "fullName": names.get(person_id, "")} if person_id is not None else None
        ),
        "kind": row.kind,
        "action": row.action,
    }


def _maybe(one: UUID | None) -> str | None:
    return str(one) if one is not None else None


ROUTES = (
    Route(
        method="GET",
        path="/audit",
        handler=list_audit,
        summary="List what was done, seen and refused",
        tag="Operations",
        done="The entries of the page.",
        message="Audit retrieved successfully",
        roles=permissions.ADMINISTRATORS,
        query=schemas.AuditQuery,
        data=schemas.AuditAnswer,
    ),
    Route(
        method="GET",
        path="/chat/sessions/{id}/access",
        handler=list_readers,
        summary="See who has opened a chat",
        tag="Sessions",
        done="Who has opened it, and when.",
        message="Access retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.PageQuery,
        data=schemas.SessionReadersAnswer,
        errors=(ErrorCode.SESSION_NOT_FOUND, ErrorCode.NOT_PARTICIPANT),
    ),
)
