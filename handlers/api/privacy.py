"""What is personal: one's own export, and for administrators erasure and legal holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from handlers import schemas
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.erasure import HoldSubject
from rdchat.domain.operator_action import ActionKind, Operator, SubjectType
from rdchat.operations.privacy.exporting import as_json_text, as_plain_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.domain.erasure import Erasure


async def export_person(call: Call) -> web.StreamResponse:
    """Read all that is kept of oneself, and that one may see, in one piece.

    Only one's own: what people said is not for those who run the service. Asked in another way than here,
    they export by the command line.
    """
    person_id = call.path["id"]
    if call.caller.id != person_id:
        raise RdchatError(ErrorCode.FORBIDDEN)
    exports, at = call.runtime.privacy.exports, call.runtime.clock.now()
    oneself = Operator(person_id, call.request_id)
    facts = await exports.begin(oneself, person_id)
    pieces = exports.pieces(oneself, person_id)
    is_text = call.query["format"] == "txt"
    return web.Response(
        # Sent piece by piece. Should one not be found, the answer breaks off, which every client notices.
        body=as_plain_text(facts, pieces, at) if is_text else _enveloped(as_json_text(facts, pieces, at)),
        headers={
            "Content-Type": "text/plain; charset=utf-8" if is_text else "application/json; charset=utf-8",
            "Content-Disposition": f"attachment; filename=export-{at:%Y-%m-%d}.{call.query['format']}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _enveloped(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b'{"success":true,"data":'
    async for part in content:
        yield part
    yield b',"message":"Export retrieved successfully"}'


async def erase_person(call: Call) -> Answer:
    """Erase a person, for good: what they and others said in their sessions, and who they are.

    What they have ahead is cancelled, and the other of the two told. It is refused while a chat of theirs is
    open, or a legal hold on them or on a session of theirs. It takes some seconds; interrupted, it is
    finished when it is asked for again. A psychologist's sessions are their clients', and stay.
    """
    operator = _with_reason(call)
    erasure = await call.runtime.privacy.erasures.erase_person(operator, call.path["id"])
    return Answer(_erasure_json(erasure), "Person erased successfully")


async def hold_person(call: Call) -> Answer:
    """Keep a person from being erased, and their sessions from the retention; or let them go again."""
    return await _hold(call, HoldSubject.PERSON)


async def hold_session(call: Call) -> Answer:
    """Keep a session from being erased, by its client's erasure or by the retention; or let it go again."""
    return await _hold(call, HoldSubject.SESSION)


async def _hold(call: Call, subject_type: HoldSubject) -> Answer:
    holds, operator, subject_id = call.runtime.privacy.holds, _with_reason(call), call.path["id"]
    since = None
    if call.body["is_held"]:
        since = iso((await holds.set_hold(operator, subject_type, subject_id)).set_at)
    else:
        await holds.lift_hold(operator, subject_type, subject_id)
    return Answer({"subjectId": str(subject_id), "heldSince": since}, "Legal hold saved successfully")


def _with_reason(call: Call) -> Operator:
    return replace(call.operator, reason=call.body["reason"])


def _erasure_json(erasure: Erasure) -> dict[str, Any]:
    return {
        "id": str(erasure.id),
        "personId": str(erasure.person_id),
        "status": erasure.status,
        "begunAt": iso(erasure.begun_at),
        "finishedAt": iso(erasure.finished_at) if erasure.finished_at is not None else None,
        "counts": dict(erasure.counts),
        "receipt": orjson.loads(erasure.receipt or "{}"),
    }


_HOLD_MESSAGE = "Legal hold saved successfully"
ROUTES = (
    Route(
        method="GET",
        path="/people/{id}/export",
        handler=export_person,
        summary="Export what is kept of oneself",
        tag="Operations",
        done="The export; as text, without an envelope.",
        message="Export retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.ExportQuery,
        data=schemas.ExportAnswer,
        bare=("text/plain",),
        errors=(ErrorCode.NOT_FOUND,),
        dear=True,
    ),
    Route(
        method="POST",
        path="/people/{id}/erase",
        handler=erase_person,
        summary="Erase a person",
        tag="Operations",
        recorded=(ActionKind.ERASE_PERSON, SubjectType.PERSON),
        done="What was erased, with a receipt.",
        message="Person erased successfully",
        roles=permissions.ADMINISTRATORS,
        body=schemas.EraseRequest,
        data=schemas.ErasureAnswer,
        errors=(ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION, ErrorCode.LEGAL_HOLD),
        dear=True,
    ),
    Route(
        method="PUT",
        path="/people/{id}/hold",
        handler=hold_person,
        summary="Set or lift a legal hold on a person",
        tag="Operations",
        recorded=(ActionKind.HOLD_PERSON, SubjectType.PERSON),
        done="Whether it is held.",
        message=_HOLD_MESSAGE,
        roles=permissions.ADMINISTRATORS,
        body=schemas.HoldRequest,
        data=schemas.HoldAnswer,
        errors=(ErrorCode.NOT_FOUND,),
    ),
    Route(
        method="PUT",
        path="/chat/sessions/{id}/hold",
        handler=hold_session,
        summary="Set or lift a legal hold on a session",
        tag="Operations",
        recorded=(ActionKind.HOLD_SESSION, SubjectType.SESSION),
        done="Whether it is held.",
        message=_HOLD_MESSAGE,
        roles=permissions.ADMINISTRATORS,
        body=schemas.HoldRequest,
        data=schemas.HoldAnswer,
        errors=(ErrorCode.NOT_FOUND,),
    ),
)
