"""/chat/sessions/{id}/timeline and /diagram: what happened to a session, and its way through the states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from handlers import schemas
from handlers.api.presenters import maybe_iso
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso, to_ms
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.timeline import is_step, path_taken
from rdchat.operations import drawing
from statemachine import diagram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rdchat.domain.timeline import TimelineEntry
    from statemachine import Session

_NO_SESSION: Final = (ErrorCode.SESSION_NOT_FOUND, ErrorCode.NOT_PARTICIPANT)


async def get_timeline(call: Call) -> Answer:
    """See what happened to a session, with planned and actual instants."""
    _, entries = await call.runtime.chat.get_timeline(call.caller, call.path["id"])
    return Answer([_timeline_json(entry) for entry in entries], "Timeline retrieved successfully")


async def get_diagram(call: Call) -> web.Response:
    """Draw the state machine, with the session's state and the way it took."""
    session, entries = await call.runtime.chat.get_timeline(call.caller, call.path["id"])
    path = diagram.Path(current=session.status, taken=path_taken(entries))
    form = call.query["format"]
    if form == "png":
        body = await call.runtime.rasteriser.png(drawing.svg(path))
        return web.Response(body=body, content_type="image/png")
    if form == "json":
        text = orjson.dumps(diagram_json(session, entries)).decode()
        return web.Response(text=text, content_type=_JSON, charset="utf-8")
    content_type, draw = _DRAWN[form]
    return web.Response(text=draw(path), content_type=content_type, charset="utf-8")


_JSON: Final = "application/json"
_DRAWN: dict[str, tuple[str, Callable[[diagram.Path], str]]] = {
    "mermaid": ("text/plain", diagram.mermaid),
    "dot": ("text/vnd.graphviz", diagram.dot),
    "svg": ("image/svg+xml", drawing.svg),
}


def diagram_json(session: Session, entries: Sequence[TimelineEntry]) -> dict[str, Any]:
    """Show the machine with a session in it: where it is, its steps with their instants, what is planned."""
    drawn = diagram.as_json(diagram.Path(current=session.status, taken=path_taken(entries)))
    steps = [entry for entry in entries if is_step(entry)]
    return drawn | {
        "path": [
            step
            | {
                "plannedAt": maybe_iso(entry.planned_at),
                "at": iso(entry.at),
                "latenessMs": lateness_ms(entry),
                "outcome": entry.outcome,
            }
            for step, entry in zip(drawn["path"], steps, strict=True)
        ],
        "session": {
            "id": str(session.id),
            "status": session.status.value,
            "createdAt": iso(session.created_at),
            "scheduledAt": iso(session.starts_at),
            "endsAt": iso(session.ends_at),
            "startedAt": maybe_iso(session.started_at),
            "endedAt": maybe_iso(session.ended_at),
            "endReason": session.end_reason.value if session.end_reason else None,
        },
        "automations": [
            {
                "kind": one.kind.value,
                "dueAt": iso(one.due_at),
                "status": one.status.value,
                "executedAt": maybe_iso(one.executed_at),
                "latenessMs": one.lateness_ms,
            }
            for one in session.automations.values()
        ],
    }


def lateness_ms(entry: TimelineEntry) -> int | None:
    """Tell how late a timer was. What was called off was not run: it is neither early nor late."""
    if entry.planned_at is None or entry.called_off:
        return None
    return max(0, to_ms(entry.at) - to_ms(entry.planned_at))


def _timeline_json(entry: TimelineEntry) -> dict[str, Any]:
    return {
        "trigger": entry.trigger,
        "from": entry.source,
        "to": entry.destination,
        "actorId": str(entry.actor_id) if entry.actor_id else None,
        "plannedAt": maybe_iso(entry.planned_at),
        "at": iso(entry.at),
        "latenessMs": lateness_ms(entry),
        "outcome": entry.outcome,
        "reason": entry.reason,
    }


ROUTES = (
    Route(
        method="GET",
        path="/chat/sessions/{id}/timeline",
        handler=get_timeline,
        summary="See what happened to a session",
        tag="Sessions",
        done="What happened, oldest first.",
        message="Timeline retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.TimelineAnswer,
        many=True,
        errors=_NO_SESSION,
    ),
    Route(
        method="GET",
        path="/chat/sessions/{id}/diagram",
        handler=get_diagram,
        summary="Draw a session's way through the state machine",
        tag="Sessions",
        done="The drawing, without an envelope.",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.DiagramQuery,
        rate="diagram",
        dear=True,
        bare=(*(content_type for content_type, _ in _DRAWN.values()), _JSON, "image/png"),
        errors=_NO_SESSION,
    ),
)
