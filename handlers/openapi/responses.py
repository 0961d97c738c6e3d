"""What goes out, described for OpenAPI: the answers of a route by their status, with headers and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.common.errors import ERRORS, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.http.routing import Route
    from handlers.openapi.schema_reader import Node

JSON: Final = "application/json"

HEADERS: Final = {
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
        "description": "The tag of this state, for `If-Match`, `If-None-Match` and `If-Range`.",
        "schema": {"type": "string"},
    },
    "Accept-Ranges": {
        "description": "That a part of it may be asked for by `Range`.",
        "schema": {"type": "string", "const": "bytes"},
    },
    "Content-Range": {
        "description": "Which part it is, of how many bytes: `bytes 0-99/1234`; where there is no such part, "
        "the size alone: `bytes */1234`.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}
_HEADERS_OF: Final = {
    401: ("WWW-Authenticate",),
    416: ("Content-Range",),
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


def response(description: str, content: Node, *headers: str) -> Node:
    """Describe an answer: what it means, its media types, and its headers beside the id of the request."""
    named = {name: name for name in ("X-Request-Id", *headers)}
    return {"description": description, "headers": named, "content": content}


def successes(route: Route) -> Iterator[tuple[str, Node]]:
    """Yield the answers of a route that is done, by status."""
    for status, done in ((route.status, route.done), *route.also):
        limits = ("RateLimit-Policy", "RateLimit") if route.rate is not None and not route.bare else ()
        tag = ("ETag",) if route.tagged or route.ranged else ()
        parts = ("Accept-Ranges",) if route.ranged else ()
        yield str(status), response(done, _content(route), *limits, *tag, *parts)
    if route.ranged:
        part = "The part of it that `Range` asks for."
        yield "206", response(part, _content(route), "ETag", "Accept-Ranges", "Content-Range")
    if route.tagged and route.method == "GET":
        yield "304", response("The caller has it already.", {}, "ETag")


def _content(route: Route) -> Node:
    bare = {media: _bare(media) for media in route.bare}
    if route.data is None:
        return bare
    data: Any = {"type": "array", "items": route.data} if route.many else route.data
    message = {"type": "string", "description": "What was done, for people.", "example": route.message}
    return {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["success", "data", "message"],
                "properties": {"success": {"const": True}, "data": data, "message": message},
            }
        },
        **bare,
    }


def _bare(media: str) -> Node:
    if media == JSON:
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
    if route.ranged:
        codes.add(ErrorCode.RANGE_NOT_SATISFIABLE)
    if "{" in route.path:
        codes.add(ErrorCode.NOT_FOUND)
    return codes


def failures(route: Route) -> Iterator[tuple[str, Node]]:
    """Yield the answers of a route that is refused, by status; each with its codes."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in sorted(errors_of(route), key=lambda code: (ERRORS[code][0], code)):
        by_status.setdefault(ERRORS[code][0], []).append(code)
    for status, codes in by_status.items():
        description = " ".join(f"`{code}`: {ERRORS[code][1]}." for code in codes)
        content = {JSON: {"schema": "Error"}}
        yield str(status), response(description, content, *_HEADERS_OF.get(status, ()))
