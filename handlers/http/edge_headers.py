"""The headers that every answer bears, whatever it says: what browsers may do with it, who may read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web
    from aiohttp.web_request import BaseRequest
    from multidict import CIMultiDict

    from handlers.http.cors import CrossOrigin

#: What a browser is shown by the API is data: it loads and runs nothing, and stands in no other page.
DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
#: Those of answers that say nothing else themselves. What is made with all of them needs no look at each.
USUAL: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", DATA_POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cache-Control", "no-store"),
    # aiohttp would name itself and Python, with their versions. Whatever bears this bears all the others.
    ("Server", "rdchat"),
)
#: Two years. Without the host's subdomains, which may be another's affair.
_INSISTING: Final = "max-age=63072000"


class EdgeHeaders:
    """Completes the headers of answers.

    `cross_origin` knows which pages may read them; `behind_tls`: clients reach the service by https.
    `beside_failures`: what a dialect puts into the body of every error.
    """

    def __init__(
        self,
        cross_origin: CrossOrigin,
        *,
        behind_tls: bool,
        beside_failures: Mapping[str, Any] | None = None,
    ) -> None:
        self.cross_origin = cross_origin
        self.beside_failures = beside_failures
        self._behind_tls = behind_tls

    def complete(self, headers: CIMultiDict[str], origin: str | None) -> None:
        """Add what is missing, and what a page of `origin` needs to read the answer."""
        self._complete(headers)
        self.cross_origin.mark(headers, origin)

    def preflight(self, request: BaseRequest) -> web.Response | None:
        """Answer a request that asks whether another one may be sent; None if it is no such request."""
        answer = self.cross_origin.preflight(request)
        if answer is not None:
            self._complete(answer.headers)
        return answer

    def _complete(self, headers: CIMultiDict[str]) -> None:
        if "Server" not in headers:
            for name, value in USUAL:
                headers.setdefault(name, value)
        if self._behind_tls:
            headers["Strict-Transport-Security"] = _INSISTING
