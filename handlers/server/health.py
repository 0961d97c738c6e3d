"""What needs no token: where everything is, health, metrics, the API's documents and their page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from handlers.http.json_answers import json_response
from handlers.openapi.page import POLICY as DOCS_POLICY
from handlers.pages.same_machine import is_near
from handlers.server.home import show_home
from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler

    from rdchat.runtime import Runtime


METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


#: The documents and their page, by path, with the headers of their own.
DOCUMENTS: Final = {
    "/openapi.json": {"Content-Type": "application/json; charset=utf-8"},
    "/asyncapi.json": {"Content-Type": "application/json; charset=utf-8"},
    "/docs": {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"{DOCS_POLICY}; frame-ancestors 'none'",
    },
}


class Documents:
    """The documents and their page, written when one is first asked for, beside the event loop, and kept.

    `write` returns them by path. It takes a fifth of a second, which neither a start nor a chat waits for.
    """

    def __init__(self, write: Callable[[], dict[str, bytes]]) -> None:
        self._write = write
        self._written: asyncio.Task[dict[str, bytes]] | None = None

    async def read(self, path: str) -> bytes:
        """Return one of them."""
        if self._written is None or (self._written.done() and self._written.exception() is not None):
            self._written = asyncio.create_task(asyncio.to_thread(self._write), name="documents")
        return (await asyncio.shield(self._written))[path]


@dataclass(frozen=True, slots=True)
class Pages:
    """What is shown: documents with their page, and metrics other than the runtime's own."""

    documents: Documents
    metrics: Callable[[], Awaitable[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class _Watchers:
    """Who may look at what is for those who run the service: all who come `here`, or those who are `near`."""

    here: bool
    near: bool

    def guard(self, handler: Handler) -> Handler:
        """Let a handler answer them; for all others there is nothing."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not (self.here or (self.near and is_near(request))):
                raise RdchatError(ErrorCode.NOT_FOUND)
            return await handler(request)

        return guarded


def register(
    app: web.Application,
    runtime: Runtime,
    pages: Pages,
    *,
    draining: Callable[[], bool],
    for_operators: bool = False,
) -> None:
    """Put the routes into an application. `draining` says whether the replica is about to stop.

    `for_operators`: it listens where only those who run the service come. Elsewhere metrics and the page of
    the documents are for this machine alone, or not there at all where operators have a port.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        if draining():
            return json_response({"status": "draining"}, 503)
        parts = await runtime.health.check()
        # Without Redis everything still works, later; without PostgreSQL nothing can be promised. Late timers
        # are the affair of those who run them: the others can serve. Without a key set all calls are refused.
        ready = (
            parts["postgresql"] == "ok"
            and (parts["timers"] == "ok" or not runtime.health.runs_timers)
            and parts.get("keySet", "ok") == "ok"
        )
        return json_response({"status": "ready" if ready else "unavailable", **parts}, 200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        page = await pages.metrics() if pages.metrics is not None else runtime.metrics.page()
        return web.Response(body=page, headers={"Content-Type": METRICS_TYPE})

    async def document(request: web.Request) -> web.Response:
        body = await pages.documents.read(request.path)
        return web.Response(body=body, headers=DOCUMENTS[request.path])

    may_look = _Watchers(here=for_operators, near=runtime.settings.operations_port is None)
    if not for_operators:
        app.router.add_get("/", show_home(runtime.settings))
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", may_look.guard(metrics))
    for path in DOCUMENTS:
        app.router.add_get(path, may_look.guard(document) if path == "/docs" else document)
