"""The OpenAPI 3.1 document, made from the same routes and schemas that the requests go through."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from handlers import schemas
from handlers.routing import ANYBODY, PREFIX
from rdchat.errors import ERRORS, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handlers.routing import Route

_EVERYWHERE: Final = (ErrorCode.UNAUTHENTICATED, ErrorCode.UNAVAILABLE)
_DIAGRAM_TYPES: Final = ("text/plain", "text/vnd.graphviz", "image/svg+xml", "image/png", "application/json")


def document(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """Describe the routes."""
    spec = APISpec(
        title="rdchat",
        version=version,
        openapi_version="3.1.0",
        info={
            "description": "Scheduled counselling by chat. Realtime events are described in docs/realtime.md."
        },
        security=[{"bearer": []}],
        plugins=[MarshmallowPlugin()],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    spec.components.schema("Error", schema=schemas.ErrorAnswer)
    for route in routes:
        spec.path(path=PREFIX + route.path, operations={route.method.lower(): _operation(route)})
    for path, summary, media in _OPERATIONS:
        spec.path(
            path=path,
            operations={
                "get": {
                    "operationId": path.strip("/").replace(".", "_"),
                    "summary": summary,
                    "tags": ["Operations"],
                    "security": [],
                    "responses": {"200": {"description": "OK", "content": {media: {}}}},
                }
            },
        )
    described: dict[str, Any] = spec.to_dict()
    return described


_OPERATIONS: Final = (
    ("/healthz", "Is the process alive?", "application/json"),
    ("/readyz", "Can it serve? 503 while draining, or without PostgreSQL", "application/json"),
    ("/metrics", "Metrics for Prometheus", "text/plain"),
    ("/openapi.json", "This document", "application/json"),
    ("/docs", "This document as a page", "text/html"),
)


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": _description(route),
        "tags": [route.tag],
        "responses": _responses(route),
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        parameters.append({"in": "query", "schema": route.query})
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in route.body().fields.values()),
            "content": {"application/json": {"schema": route.body}},
        }
    return operation


def _description(route: Route) -> str:
    text = (route.handler.__doc__ or "").strip()
    return f"{text}\n\nRoles: {', '.join(sorted(route.roles))}."


def _responses(route: Route) -> dict[str, Any]:
    answers: dict[str, Any] = {str(route.status): {"description": "Done.", "content": _content(route)}}
    codes = [*_EVERYWHERE, *route.errors]
    if route.body is not None or route.query is not None:
        codes.append(ErrorCode.VALIDATION_FAILED)
    if len(route.roles) < len(ANYBODY):
        codes.append(ErrorCode.FORBIDDEN)
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(ERRORS[code][0], []).append(code)
    for status, own in sorted(by_status.items()):
        answers[str(status)] = {
            "description": " ".join(f"`{code}`: {ERRORS[code][1]}." for code in own),
            "content": {"application/json": {"schema": "Error"}},
        }
    return answers


def _content(route: Route) -> dict[str, Any]:
    if route.data is None:
        return {media: {} for media in _DIAGRAM_TYPES}
    data: Any = {"type": "array", "items": route.data} if route.many else route.data
    return {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["success", "data", "message"],
                "properties": {"success": {"const": True}, "data": data, "message": {"type": "string"}},
            }
        }
    }
