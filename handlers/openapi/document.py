"""The OpenAPI 3.1 document, made from the same routes and schemas that the requests go through."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from handlers import schemas
from handlers.http.forms import MEDIA_TYPE
from handlers.http.routing import PREFIX
from handlers.openapi import examples
from handlers.schemas import parts
from rdchat.common.errors import ERRORS, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marshmallow import Schema

    from handlers.http.routing import Route

Node = dict[str, Any]

_ABOUT: Final = """
Scheduled counselling by chat. A counselling that is booked with method `chat` has a chat session, which
opens, warns and closes by itself, each at its time.

What happens in a session arrives on Ably channels, as JSON: the document at `/asyncapi.json` describes them.
`GET /chat/ably-token` gives a token for them, also while the session is pending.

Order messages by `seq`, which has no gaps: where one is missing, ask `GET /chat/history` with `after`. Drop
a message whose `id` has been shown.

Pages of the origins that the service allows may call it from browsers. `HEAD` is answered wherever `GET` is,
with the same headers. Answers of more than 1 KiB are compressed by gzip where `Accept-Encoding` asks for it.
"""

_TAGS: Final = {
    "Counselling": "Book a counselling, look at one's own, call one off.",
    "Chat": "Listen to a session, write in it, read what was written.",
    "Sessions": "Look at chat sessions, end one, see what happened to one.",
    "Notifications": "See what one was told while one was elsewhere.",
    "Organisation": "See whom to turn to when one cannot wait.",
    "Psychologists": "See who can be booked; administrators decide who can.",
    "Reports": "See numbers, as administrator or supervisor.",
    "Operations": "For those who run the service. Without a prefix, and without a token.",
}

#: What `{id}` stands for, by the part of the path before it.
_IDS: Final = {
    "counselings": ("The counselling's id.", parts.COUNSELING_ID),
    "sessions": ("The session's id.", parts.SESSION_ID),
    "notifications": ("The notification's id.", parts.NOTIFICATION_ID),
    "attachments": ("The attachment's id.", parts.ATTACHMENT_ID),
    "psychologists": ("The psychologist's id: the `sub` of their tokens.", parts.PSYCHOLOGIST_ID),
}

_HEADERS: Final = {
    "X-Request-Id": {
        "description": "The request's id. A request may bring its own in this header: up to 64 letters, "
        "digits, dots, hyphens and underscores.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Policy": {
        "description": 'How often one person may make such calls: `"kind";q=calls;w=seconds`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'How many calls are left, and in how many seconds all: `"kind";r=calls;t=seconds`.',
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The tag of this state, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}
_HEADERS_OF: Final = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit-Policy", "RateLimit"),
    503: ("Retry-After",),
}

#: A query parameter that is not known is refused, so every route can find its request invalid; and a token
#: may have a role that may do nothing here.
_EVERYWHERE: Final = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.VALIDATION_FAILED,
    ErrorCode.INTERNAL,
    ErrorCode.UNAVAILABLE,
)
_JSON: Final = "application/json"

_READY: Final = {
    200: "The replica can serve.",
    503: "Not ready: about to stop, without PostgreSQL, with late timers, or before keys were fetched.",
}
#: Path, summary, media type, schema, and what each status means.
_OPERATIONS: Final[tuple[tuple[str, str, str, type[Schema] | None, dict[int, str]], ...]] = (
    ("/", "Where is everything?", _JSON, schemas.HomeAnswer, {200: "Where; a page for browsers."}),
    ("/healthz", "Is the process alive?", _JSON, schemas.HealthAnswer, {200: "It is."}),
    ("/readyz", "Can it serve?", _JSON, schemas.ReadyAnswer, _READY),
    ("/metrics", "Metrics for Prometheus", "text/plain", None, {200: "The metrics, as text."}),
    ("/openapi.json", "This document", _JSON, None, {200: "The document."}),
    ("/asyncapi.json", "The realtime events, as an AsyncAPI document", _JSON, None, {200: "The document."}),
    ("/docs", "Both documents as a page", "text/html", None, {200: "The page."}),
)


def document(routes: Iterable[Route], *, version: str, base_url: str) -> Node:
    """Describe the routes of a service that clients reach at `base_url`."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="rdchat",
        version=version,
        openapi_version="3.1.0",
        info={"description": re.sub(r"(?<!\n)\n(?!\n)", " ", _ABOUT.strip())},
        servers=[{"url": base_url, "description": "As clients reach it."}],
        security=[{"bearer": []}],
        tags=[{"name": name, "description": description} for name, description in _TAGS.items()],
        plugins=[plugin],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    spec.components.schema("Error", schema=schemas.ErrorAnswer)
    for name, header in _HEADERS.items():
        spec.components.header(name, header)
    routes = tuple(routes)
    for route in routes:
        operation = _operation(route)
        parameters = [*_path_parameters(route.path), *_query_parameters(route.query, plugin)]
        if route.idempotent:
            parameters.append(_idempotency_key(route))
        if route.tagged:
            parameters.append(_precondition(route))
        if parameters:
            operation["parameters"] = parameters
        spec.path(path=PREFIX + route.path, operations={route.method.lower(): operation})
    for path, summary, media, schema, answers in _OPERATIONS:
        spec.path(path=path, operations={"get": _operational(path, summary, media, schema, answers)})
    described: Node = spec.to_dict()
    for key, name in plugin.converter.refs.items():
        schema = described["components"]["schemas"][name]
        described["components"]["schemas"][name] = {"description": inspect.getdoc(key[0]), **schema}
    _leave_out_defaults(described)
    examples.add(described, ((route, errors_of(route)) for route in routes))
    return described


def _leave_out_defaults(described: Node) -> None:
    """Say in words what a field of a request's body is without it.

    Generators of types take a field with a `default` for one that is always there, as it is in what they
    receive; in what they send, it is the one that may be left out. And null is no default: it is nothing.
    """
    bodies = [
        item["requestBody"]
        for path in described["paths"].values()
        for item in path.values()
        if "requestBody" in item
    ]
    waiting, done = _references(bodies), set()
    while waiting:
        name = waiting.pop()
        done.add(name)
        schema = described["components"]["schemas"][name]
        for field in schema["properties"].values():
            default = field.pop("default", None)
            if default not in (None, ""):
                field["description"] += f" Without it: `{default}`."
        waiting |= _references(schema) - done


def _references(part: object) -> set[str]:
    return set(re.findall(r"'#/components/schemas/(\w+)'", str(part)))


def _operation(route: Route) -> Node:
    operation: Node = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": _description(route),
        "tags": [route.tag],
        "responses": {**dict(_successes(route)), **dict(_failures(route))},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in route.body().fields.values()),
            "content": {MEDIA_TYPE if route.admit is not None else _JSON: {"schema": route.body}},
        }
    if route.public:
        operation["security"] = []
    return operation


def _operational(
    path: str, summary: str, media: str, schema: type[Schema] | None, answers: dict[int, str]
) -> Node:
    content: Node = {media: {"schema": schema} if schema is not None else {}}
    if path == "/":
        content["text/html"] = {}
    return {
        "operationId": path.strip("/").replace(".", "_") or "home",
        "summary": summary,
        "tags": ["Operations"],
        "security": [],
        "responses": {str(status): _response(text, content) for status, text in answers.items()},
    }


def _description(route: Route) -> str:
    text = inspect.getdoc(route.handler)
    return f"{text}" if route.public else f"{text}\n\nRoles: {', '.join(sorted(route.roles))}."


# ---- what comes in ----------------------------------------------------------------------------------------


def _path_parameters(path: str) -> Iterator[Node]:
    for thing, name in re.findall(r"(\w+)/{(\w+)}", path):
        description, example = _IDS[thing]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string", "format": "uuid", "example": example},
        }


def _query_parameters(query: type[Schema] | None, plugin: MarshmallowPlugin) -> Iterator[Node]:
    if query is None:
        return
    for parameter in plugin.converter.schema2parameters(query(), location="query"):
        schema = parameter["schema"]
        if "default" in schema and schema["default"] is None:
            # To the program, what is left out is None; in a query, nothing can be null.
            del schema["default"]
            schema["type"] = schema["type"][0]
            if "enum" in schema:
                schema["enum"].remove(None)
        yield parameter


def _idempotency_key(route: Route) -> Node:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Your own key of the request: sent again within a day, it is done once and answered "
        "again, with the header `Idempotency-Replayed`. What was booked, moved or extended is then shown as "
        "it is by now.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]+$",
            # Another one for each operation: a reader who tries them all as they are shown uses no key twice.
            "example": f"{parts.OWN_ID}-{route.operation}",
        },
    }


def _precondition(route: Route) -> Node:
    changes = route.method != "GET"
    return {
        "name": "If-Match" if changes else "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` of the state that is to be changed: another is left as it is, with 412."
        if changes
        else "The `ETag` of what one has: the same is answered with 304, and not sent again.",
        "schema": {"type": "string", "example": '"5f2b7c1d9e8a4036b1c7d2e3f4a59687"'},
    }


# ---- what goes out ----------------------------------------------------------------------------------------


def _response(description: str, content: Node, *headers: str) -> Node:
    named = {name: name for name in ("X-Request-Id", *headers)}
    return {"description": description, "headers": named, "content": content}


def _successes(route: Route) -> Iterator[tuple[str, Node]]:
    for status, done in ((route.status, route.done), *route.also):
        limits = ("RateLimit-Policy", "RateLimit") if route.rate is not None and not route.bare else ()
        tag = ("ETag",) if route.tagged else ()
        yield str(status), _response(done, _content(route), *limits, *tag)
    if route.tagged and route.method == "GET":
        yield "304", _response("The caller has it already.", {}, "ETag")


def _content(route: Route) -> Node:
    bare = {media: _bare(media) for media in route.bare}
    if route.data is None:
        return bare
    data: Any = {"type": "array", "items": route.data} if route.many else route.data
    message = {"type": "string", "description": "What was done, for people.", "example": route.message}
    return {
        _JSON: {
            "schema": {
                "type": "object",
                "required": ["success", "data", "message"],
                "properties": {"success": {"const": True}, "data": data, "message": message},
            }
        },
        **bare,
    }


def _bare(media: str) -> Node:
    if media == _JSON:
        return {}
    is_text = media.startswith("text/") or media.endswith("+xml")
    return {"schema": {"type": "string"} if is_text else {"type": "string", "format": "binary"}}


def errors_of(route: Route) -> set[ErrorCode]:
    """Name every code that a route can answer with."""
    codes = {*_EVERYWHERE, *route.errors}
    if route.public:
        codes.discard(ErrorCode.UNAUTHENTICATED)
    if route.body is not None:
        codes.add(ErrorCode.PAYLOAD_TOO_LARGE)
    if route.rate is not None:
        codes.add(ErrorCode.RATE_LIMITED)
    if route.idempotent:
        codes |= {ErrorCode.IDEMPOTENCY_MISMATCH, ErrorCode.IDEMPOTENCY_IN_FLIGHT}
    if route.tagged and route.method != "GET":
        codes.add(ErrorCode.PRECONDITION_FAILED)
    if "{" in route.path:
        codes.add(ErrorCode.NOT_FOUND)
    return codes


def _failures(route: Route) -> Iterator[tuple[str, Node]]:
    by_status: dict[int, list[ErrorCode]] = {}
    for code in sorted(errors_of(route), key=lambda code: (ERRORS[code][0], code)):
        by_status.setdefault(ERRORS[code][0], []).append(code)
    for status, codes in by_status.items():
        description = " ".join(f"`{code}`: {ERRORS[code][1]}." for code in codes)
        content = {_JSON: {"schema": "Error"}}
        yield str(status), _response(description, content, *_HEADERS_OF.get(status, ()))
