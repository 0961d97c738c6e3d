"""What operators ask for: health, metrics, the OpenAPI document and its page. Without prefix or token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from handlers.envelope import json_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rdchat.runtime import Runtime


def register(
    app: web.Application,
    runtime: Runtime,
    *,
    document: dict[str, Any],
    page: str,
    draining: Callable[[], bool],
) -> None:
    """Put the routes into an application. `draining` says whether the replica is about to stop."""

    async def healthz(_request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        if draining():
            return json_response({"status": "draining"}, 503)
        parts = await runtime.health()
        # Without Redis everything still works, later; without PostgreSQL nothing can be promised. Late timers
        # are the affair of those who run them: the others can serve.
        ready = parts["postgresql"] == "ok" and (parts["timers"] == "ok" or not runtime.runs_timers)
        return json_response({"status": "ready" if ready else "unavailable", **parts}, 200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=runtime.metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def openapi(_request: web.Request) -> web.Response:
        return json_response(document)

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", charset="utf-8")

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/docs", docs)
