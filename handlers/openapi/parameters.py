"""What comes in beside a body, described for OpenAPI: ids in paths, queries and headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from handlers.http.reading import LONGEST_REASON, REASON_HEADER
from handlers.schemas import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apispec.ext.marshmallow import MarshmallowPlugin
    from marshmallow import Schema

    from handlers.http.routing import Route
    from handlers.openapi.schema_reader import Node

#: What `{id}` stands for, by the part of the path before it.
_IDS: Final = {
    "counselings": ("The counselling's id.", parts.COUNSELING_ID),
    "sessions": ("The session's id.", parts.SESSION_ID),
    "notifications": ("The notification's id.", parts.NOTIFICATION_ID),
    "attachments": ("The attachment's id.", parts.ATTACHMENT_ID),
    "quick-replies": ("The quick reply's id.", parts.QUICK_REPLY_ID),
    "clients": ("The client's id: the `sub` of their tokens.", parts.CLIENT_ID),
    "people": ("The person's id: the `sub` of their tokens.", parts.PERSON_ID),
    "psychologists": ("The psychologist's id: the `sub` of their tokens.", parts.PSYCHOLOGIST_ID),
}

_TAG: Final = '"5f2b7c1d9e8a4036b1c7d2e3f4a59687"'


def parameters_of(route: Route, plugin: MarshmallowPlugin) -> list[Node]:
    """Describe what a request says outside of its body."""
    found = [*_path_parameters(route.path), *_query_parameters(route.query, plugin)]
    if route.idempotent:
        found.append(_idempotency_key(route))
    if route.tagged:
        found.append(_precondition(route))
    if route.recorded is not None or (route.tag == "Operations" and route.method != "GET"):
        found.append(_reason())
    if route.ranged:
        found += _range_headers()
    return found


def _path_parameters(path: str) -> Iterator[Node]:
    for thing, name in re.findall(r"([\w-]+)/{(\w+)}", path):
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


def _reason() -> Node:
    return {
        "name": REASON_HEADER,
        "in": "header",
        "required": False,
        "description": "Why, in words for the audit: UTF-8, percent-encoded where it is not ASCII. Heeded of "
        "those who run or oversee the service.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_REASON,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
            "example": "Asked for by the clinic",
        },
    }


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
        "schema": {"type": "string", "example": _TAG},
    }


def _range_headers() -> Iterator[Node]:
    for name, description, example in (
        (
            "Range",
            "Which part of the file to send: one, in bytes. Several are answered with all of it.",
            "bytes=0-99",
        ),
        ("If-Range", "The `ETag` of what one has a part of: of anything else, all is sent.", _TAG),
    ):
        schema = {"type": "string", "example": example}
        yield {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
