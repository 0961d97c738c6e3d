"""The application: every route of the service, and the envelope around them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from handlers.api import (
    attachments,
    availability,
    calendars,
    chat,
    counselings,
    notifications,
    psychologists,
    reassigning,
    reports,
    sessions,
    transcripts,
)
from handlers.http import envelope, routing
from handlers.http.protocol import Admission, Runner
from handlers.openapi import asyncapi, document, page
from handlers.server import health
from rdchat import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler

    from rdchat.runtime import Runtime

ROUTES: Final = (
    *counselings.ROUTES,
    *reassigning.ROUTES,
    *calendars.ROUTES,
    *chat.ROUTES,
    *attachments.ROUTES,
    *sessions.ROUTES,
    *transcripts.ROUTES,
    *notifications.ROUTES,
    *psychologists.ROUTES,
    *availability.ROUTES,
    *reports.ROUTES,
)
#: Requests that change something, at a time. More would only wait longer than people are willing to.
_UNDER_WAY: Final = 1_024
#: The longest body of the contract is a message of 4,096 characters, escaped in the longest way.
_LARGEST_BODY: Final = 64 * 1024


def api_document() -> dict[str, Any]:
    """Make the OpenAPI document."""
    return document.document(ROUTES, version=__version__)


def events_document() -> dict[str, Any]:
    """Make the AsyncAPI document."""
    return asyncapi.document(version=__version__)


def build_runner(
    runtime: Runtime,
    *,
    draining: Callable[[], bool] = lambda: False,
    metrics_page: Callable[[], Awaitable[bytes]] | None = None,
    shutdown_timeout: float = 0.0,
) -> Runner:
    """Build what serves a runtime over HTTP.

    `metrics_page` makes another page of metrics than that of the runtime alone. `shutdown_timeout`: how many
    seconds requests that are under way may take at the end.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    documents = {"/openapi.json": api_document(), "/asyncapi.json": events_document()}
    pages = health.Pages(documents, page.render(*documents.values()), metrics_page)
    health.register(app, runtime, pages, draining=draining)
    routing.register(app, ROUTES, runtime)

    def around(handler: Handler) -> Handler:
        return envelope.enveloped(handler, runtime.metrics, time.perf_counter)

    admission = Admission(_UNDER_WAY, runtime.metrics.turned_away.inc)

    return Runner(
        app, around, admission, access_log=None, handle_signals=False, shutdown_timeout=shutdown_timeout
    )
