"""Which pages may call from browsers: the headers of CORS, and the answers to preflights.

There are no cookies: a page acts for a person only with a token that it holds. So preflights get one answer,
also for routes that do not exist: the answer to the request itself says so, and the page can read it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp.web_request import BaseRequest
    from multidict import CIMultiDict

#: Chromium keeps the answer to a preflight for two hours at most, the others for longer.
_KEPT_SECONDS: Final = 7200
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_SENT: Final = (
    "Authorization",
    "Audit-Reason",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "X-Request-Id",
    # Without it, the tunnel of this name shows browsers a page of its own.
    "ngrok-skip-browser-warning",
)
_READ: Final = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    # What time it is here: telephones are minutes wrong.
    "Date",
    "ETag",
    "Idempotency-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": ", ".join(_SENT),
    "Access-Control-Max-Age": str(_KEPT_SECONDS),
}
_READABLE: Final = ", ".join(_READ)
_LOOPBACK: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9]\d{0,4})?")
_ORIGIN_IN_HEAD: Final = re.compile(rb"\r?\norigin:[ \t]*([!-~]{1,300})[ \t]*\r?\n", re.IGNORECASE)


class CrossOrigin:
    """Tells pages of the allowed origins that they may read an answer.

    `origins` are exact; None stands for those of the machine itself, whatever their port.
    """

    def __init__(self, origins: Collection[str] | None) -> None:
        self._origins = frozenset(origins or ())
        self._loopback = origins is None
        self._is_closed = origins is not None and not origins

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may call."""
        return origin in self._origins or (self._loopback and _LOOPBACK.fullmatch(origin) is not None)

    def mark(self, headers: CIMultiDict[str], origin: str | None) -> None:
        """Add to the headers of an answer what a page of `origin` needs to read it."""
        if self._is_closed:
            return
        # Also where there is no origin: a cache must not give that answer to a page.
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        if origin is not None and self.allows(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _READABLE

    def preflight(self, request: BaseRequest) -> web.Response | None:
        """Answer a request that asks whether another one may be sent; None if it is no such request."""
        headers = request.headers
        if "Origin" not in headers or "Access-Control-Request-Method" not in headers:
            return None
        answer = web.Response(status=204)
        self.mark(answer.headers, headers["Origin"])
        if "Access-Control-Allow-Origin" in answer.headers:
            answer.headers.update(_PREFLIGHT)
        return answer


def origin_in(head: bytes) -> str | None:
    """Find the origin in the head of a request that could not be parsed."""
    found = _ORIGIN_IN_HEAD.search(head)
    return found[1].decode("ascii") if found is not None else None
