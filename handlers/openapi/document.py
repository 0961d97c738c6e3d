"""The OpenAPI 3.1 document, made from the same routes and schemas that the requests go through."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from handlers import schemas
from handlers.http.forms import MEDIA_TYPE
from handlers.http.routing import PREFIX
from handlers.openapi import examples
from handlers.openapi.parameters import parameters_of
from handlers.openapi.responses import HEADERS, JSON, errors_of, failures, response, successes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marshmallow import Schema

    from handlers.http.routing import Route
    from handlers.openapi.schema_reader import Node

_ABOUT: Final = """
Scheduled counselling by chat. A counselling that is booked with method `chat` has a chat session, which
opens, warns and closes by itself, each at its time.

What happens in a session arrives on Ably channels, as JSON: the document at `/asyncapi.json` describes them.
`GET /chat/ably-token` gives a token for them, also while the session is pending.

Order messages by `seq`, which has no gaps: where one is missing, ask `GET /chat/history` with `after`. Drop
a message whose `id` has been shown.

Pages of the origins that the service allows may call it from browsers. `HEAD` is answered wherever `GET` is,
with the same headers. Answers of more than 1 KiB are compressed by gzip where `Accept-Encoding` asks for it.

No text may contain the character NUL (U+0000), whatever its schema says: it is refused with 400.
"""

_TAGS: Final = {
    "Counselling": "Book a counselling, look at one's own, call one off.",
    "Chat": "Listen to a session, write in it, read what was written.",
    "Sessions": "Look at chat sessions, end one, see what happened to one.",
    "Notifications": "See what one was told while one was elsewhere.",
    "Organisation": "See whom to turn to when one cannot wait.",
    "Psychologists": "See who can be booked; administrators decide who can.",
    "Desk": "What psychologists keep for themselves: quick replies, and notes about clients.",
    "Reports": "See numbers, as administrator or supervisor.",
    "Operations": "For those who run the service. What is without the prefix is without a token as well.",
}

_READY: Final = {
    200: "The replica can serve.",
    503: "Not ready: about to stop, without PostgreSQL, with late timers, or before keys were fetched.",
}
_NEAR: Final = {404: "It is for those who run the service: on its own machine, or on a port of their own."}
#: Path, summary, media type, schema, and what each status means.
_OPERATIONS: Final[tuple[tuple[str, str, str, type[Schema] | None, dict[int, str]], ...]] = (
    ("/", "Where is everything?", JSON, schemas.HomeAnswer, {200: "Where; a page for browsers."}),
    ("/healthz", "Is the process alive?", JSON, schemas.HealthAnswer, {200: "It is."}),
    ("/readyz", "Can it serve?", JSON, schemas.ReadyAnswer, _READY),
    ("/metrics", "Metrics for Prometheus", "text/plain", None, _NEAR | {200: "The metrics, as text."}),
    ("/openapi.json", "This document", JSON, None, {200: "The document."}),
    ("/asyncapi.json", "The realtime events, as an AsyncAPI document", JSON, None, {200: "The document."}),
    ("/docs", "Both documents as a page", "text/html", None, _NEAR | {200: "The page."}),
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
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    routes = tuple(routes)
    for route in routes:
        operation = _operation(route)
        if parameters := parameters_of(route, plugin):
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
        "responses": {**dict(successes(route)), **dict(failures(route))},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in route.body().fields.values()),
            "content": {MEDIA_TYPE if route.admit is not None else JSON: {"schema": route.body}},
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
        "responses": {str(status): response(text, content) for status, text in answers.items()},
    }


def _description(route: Route) -> str:
    text = inspect.getdoc(route.handler)
    return f"{text}" if route.public else f"{text}\n\nRoles: {', '.join(sorted(route.roles))}."
