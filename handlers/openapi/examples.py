"""The examples of the OpenAPI document: of every request, every answer, and every error of a route.

They are put together from the examples of the fields, so that all of them tell the one story of `parts`. What
is answered in a form without fields has its example here.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import orjson

from handlers.http.routing import PREFIX
from handlers.openapi.schema_reader import Node, Reader
from handlers.schemas import parts
from handlers.schemas.operations import ErrorAnswer
from rdchat import __version__
from rdchat.common.errors import ERRORS, ErrorCode
from rdchat.files.kinds import KINDS
from statemachine import AutomationKind, AutomationStatus, Status, diagram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handlers.http.routing import Route

_JSON: Final = "application/json"
_REQUEST_ID: Final[str] = ErrorAnswer().fields["request_id"].metadata["example"]
#: Codes whose message says more than the list of errors does.
_SAID: Final = {
    ErrorCode.ILLEGAL_TRANSITION: "This is not possible: the chat session is completed",
    ErrorCode.TOO_LATE: "The counseling could be cancelled until 2030-01-14T07:00:00.000Z",
}

_NOT_READY: Final = {"status": "unavailable", "postgresql": "away", "redis": "ok", "timers": "ok"}

_WAY: Final = diagram.Path(Status.ACTIVE, ((Status.PENDING, AutomationKind.ENABLE_CHAT, Status.ACTIVE),))
#: What its JSON has beside the machine.
_REPLAY: Final[Node] = {
    "path": [
        {
            "source": Status.PENDING,
            "trigger": AutomationKind.ENABLE_CHAT,
            "destination": Status.ACTIVE,
            "plannedAt": parts.START,
            "at": parts.OPENED_AT,
            "latenessMs": 12,
            "outcome": AutomationStatus.DONE,
        }
    ],
    "session": {
        "id": parts.SESSION_ID,
        "status": Status.ACTIVE,
        "createdAt": parts.BOOKED_AT,
        "scheduledAt": parts.START,
        "endsAt": parts.END,
        "startedAt": parts.OPENED_AT,
        "endedAt": None,
        "endReason": None,
    },
    "automations": [
        {
            "kind": AutomationKind.AUTO_END,
            "dueAt": parts.END,
            "status": AutomationStatus.SCHEDULED,
            "executedAt": None,
            "latenessMs": None,
        }
    ],
}
_SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 420">…</svg>'
#: A picture of one pixel.
_PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
#: Answers without an envelope: what each media type looks like, by the name of the operation. Binary ones are
#: shown in base64, as a string of JSON must be.
OWN_FORMS: Final[dict[str, dict[str, Any]]] = {
    "home": {"text/html": '<!DOCTYPE html><html lang="en">…</html>'},
    "get_diagram": {
        "text/plain": diagram.mermaid(_WAY),
        "text/vnd.graphviz": diagram.dot(_WAY),
        "image/svg+xml": _SVG,
        "image/png": base64.b64encode(_PNG).decode(),
        _JSON: orjson.loads(orjson.dumps(diagram.as_json(_WAY) | _REPLAY)),
    },
    "get_transcript": {
        "text/plain": "Transkrip konseling\n\n14:02  Budi Santoso\n       Halo, saya siap.\n",
        "text/html": '<!DOCTYPE html><html lang="id">…</html>',
    },
    "export_person": {"text/plain": "Budi Santoso · 2030-02-01T03:00:00.000Z\n"},
    "get_report": {"text/csv": "psychologistId,psychologist,booked,held\r\n,Total,40,25\r\n"},
    "get_calendar": {
        "text/calendar": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…END:VCALENDAR\r\n",
    },
    "download_attachment": {
        kind: "Catatan tidur, minggu ini." if kind == "text/plain" else base64.b64encode(_PNG).decode()
        for kind in KINDS
    },
    "metrics": {
        "text/plain": "# HELP rdchat_messages_total Messages that were stored\n"
        "# TYPE rdchat_messages_total counter\nrdchat_messages_total 3.0\n"
    },
    "openapi_json": {_JSON: {"openapi": "3.1.0", "info": {"title": "rdchat", "version": __version__}}},
    "asyncapi_json": {_JSON: {"asyncapi": "3.0.0", "info": {"title": "rdchat", "version": __version__}}},
    "docs": {"text/html": '<!DOCTYPE html><html lang="en">…</html>'},
}


def error(code: ErrorCode, errors: dict[str, list[str]] | None = None) -> Node:
    """Make the envelope of an error, as a caller receives it."""
    status, message = ERRORS[code]
    shown: Node = {
        "success": False,
        "message": _SAID.get(code, message),
        "statusCode": status,
        "code": code.value,
        "requestId": _REQUEST_ID,
    }
    return shown if errors is None else {**shown, "errors": errors}


def add(document: Node, routes: Iterable[tuple[Route, set[ErrorCode]]]) -> None:
    """Put the examples into a document. `routes`: each with the codes that it can answer with."""
    reader = Reader(document)
    for item in document["paths"].values():
        for operation in item.values():
            _add_plain(operation, reader)
    used: set[ErrorCode] = set()
    for route, codes in routes:
        operation = document["paths"][PREFIX + route.path][route.method.lower()]
        for code in sorted(codes):
            content = operation["responses"][str(ERRORS[code][0])]["content"][_JSON]
            content.setdefault("examples", {})[code.value] = _of_code(code, route)
        used |= codes - {ErrorCode.VALIDATION_FAILED}
    document["components"]["examples"] = {code.value: {"value": error(code)} for code in sorted(used)}


def _of_code(code: ErrorCode, route: Route) -> Node:
    if code is not ErrorCode.VALIDATION_FAILED:
        return {"$ref": f"#/components/examples/{code.value}"}
    return {"value": error(code, _wrong(route))}


def _wrong(route: Route) -> dict[str, list[str]]:
    """Say what can be wrong with a route's own input: what it needs is not there, or is not known."""
    for schema in (route.body, route.query):
        for name, field in schema().fields.items() if schema is not None else ():
            if field.required:
                return {field.data_key or name: ["Missing data for required field."]}
    return {"unknown": ["Unknown field."]}


def _add_plain(operation: Node, reader: Reader) -> None:
    """Add the examples of a request and of its successes."""
    own = OWN_FORMS.get(operation["operationId"], {})
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        content.setdefault("example", own.get(media, reader.example(content["schema"], sparse=True)))
    for status, answer in operation["responses"].items():
        for media, content in answer["content"].items():
            if media in own:
                content["example"] = own[media]
            elif (operation["operationId"], status) == ("readyz", "503"):
                content["example"] = _NOT_READY
            elif status < "400" and "schema" in content:
                content.setdefault("example", reader.example(content["schema"]))
