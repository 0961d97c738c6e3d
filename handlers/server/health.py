"""What needs no token: where everything is, health, metrics, the API's documents and their page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from handlers.http.envelope import json_response
from handlers.server.home import show_home

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from rdchat.runtime import Runtime


METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pages:
    """What is shown: documents by their path, the page, and metrics other than the runtime's own."""

    documents: dict[str, dict[str, Any]]
    docs: str
    metrics: Callable[[], Awaitable[bytes]] | None = None


def register(app: web.Application, runtime: Runtime, pages: Pages, *, draining: Callable[[], bool]) -> None:
    """Put the routes into an application. `draining` says whether the replica is about to stop."""

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

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=pages.docs, content_type="text/html", charset="utf-8")

    app.router.add_get("/", show_home(runtime.settings))
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    for path, document in pages.documents.items():
        app.router.add_get(path, _showing(document))
    app.router.add_get("/docs", docs)


def _showing(document: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    # It never changes, so it is written once.
    written = json_response(document).body

    async def show(_request: web.Request) -> web.Response:
        return web.Response(body=written, content_type="application/json", charset="utf-8")

    return show
