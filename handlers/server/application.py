"""The application: every route of the service, and the envelope around them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from handlers import dialects
from handlers.api import (
    attachments,
    audit,
    availability,
    calendars,
    chat,
    client_notes,
    counselings,
    dead_letters,
    notifications,
    operator_actions,
    organizations,
    overviews,
    people,
    privacy,
    psychologists,
    quick_replies,
    reassigning,
    reports,
    session_records,
    sessions,
    slots,
    transcripts,
)
from handlers.http.admission import Admission
from handlers.http.connections import Connections
from handlers.http.cors import CrossOrigin
from handlers.http.edge_headers import EdgeHeaders
from handlers.http.envelope import Envelope, PlainRoute
from handlers.http.gate import Guards
from handlers.http.newcomers import Newcomers
from handlers.http.protocol import Runner
from handlers.http.reading import LARGEST_BODY
from handlers.http.route_table import RouteTable
from handlers.http.routing import PREFIX, register
from handlers.http.strangers import Strangers
from handlers.http.written import Writer
from handlers.openapi import asyncapi, document, page
from handlers.pages.app_routes import register_app
from handlers.server import health
from handlers.server.open_files import connections_allowed
from rdchat import __version__
from rdchat.common.json import as_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from config import Settings
    from rdchat.runtime import Runtime

ROUTES: Final = (
    *counselings.ROUTES,
    *reassigning.ROUTES,
    *calendars.ROUTES,
    *chat.ROUTES,
    *attachments.ROUTES,
    *sessions.ROUTES,
    *session_records.ROUTES,
    *transcripts.ROUTES,
    *notifications.ROUTES,
    *organizations.ROUTES,
    *psychologists.ROUTES,
    *availability.ROUTES,
    *slots.ROUTES,
    *quick_replies.ROUTES,
    *client_notes.ROUTES,
    *reports.ROUTES,
    *overviews.ROUTES,
    *dead_letters.ROUTES,
    *operator_actions.ROUTES,
    *audit.ROUTES,
    *people.ROUTES,
    *privacy.ROUTES,
)
#: Requests that change something, at a time. More would only wait longer than people are willing to.
_UNDER_WAY: Final = 1_024


def api_document(base_url: str = "http://127.0.0.1:8080") -> dict[str, Any]:
    """Make the OpenAPI document of a service at `base_url`, by default where an unset one is."""
    return document.document(ROUTES, version=__version__, base_url=base_url)


def events_document() -> dict[str, Any]:
    """Make the AsyncAPI document."""
    return asyncapi.document(version=__version__)


def build_runner(
    runtime: Runtime,
    *,
    draining: Callable[[], bool] = lambda: False,
    metrics_page: Callable[[], Awaitable[bytes]] | None = None,
    shutdown_timeout: float = 0.0,
    for_operators: bool = False,
    plain: bool = True,
) -> Runner:
    """Build what serves a runtime over HTTP.

    `metrics_page` makes another page of metrics than that of the runtime alone. `shutdown_timeout`: how many
    seconds requests that are under way may take at the end. `for_operators`: nothing but health, metrics and
    documents, for the port where those who run the service look. `plain`: serve plain requests without
    aiohttp's application, which answers them in the same way, and costs more.
    """
    app = web.Application(client_max_size=LARGEST_BODY)

    def write_documents() -> dict[str, bytes]:
        api, events = api_document(runtime.settings.base_url), events_document()
        return {
            "/openapi.json": as_json(api),
            "/asyncapi.json": as_json(events),
            "/docs": page.render(api, events).encode(),
        }

    pages = health.Pages(health.Documents(write_documents), metrics_page)
    health.register(app, runtime, pages, draining=draining, for_operators=for_operators)
    dialect = dialects.find(runtime.settings.dialect) if not for_operators else None
    edge = EdgeHeaders(
        CrossOrigin(_allowed_origins(runtime.settings)),
        behind_tls=runtime.settings.base_url.startswith("https:"),
        beside_failures=dialect.beside_failures if dialect is not None else None,
    )
    refused = runtime.metrics.refused
    guards = Guards(
        Admission(_UNDER_WAY, runtime.metrics.turned_away.inc, edge),
        Connections(connections_allowed(), refused.labels("connection").inc),
        Strangers(runtime.settings.trusted_proxies, refused.labels("address").inc),
        Newcomers(),
    )
    envelope = Envelope(runtime.metrics, time.perf_counter, edge, Writer(edge), runtime.audit.note_refusal)
    plain_routes = RouteTable[PlainRoute]()
    if not for_operators:
        routes = ROUTES if dialect is None else dialect.routes(ROUTES)
        for route, serve, precheck in register(app, routes, runtime, guards):
            if plain:
                path = PREFIX + route.path
                served = envelope.plain(path, route.method, serve, precheck, precedence=route.precedence)
                plain_routes.add(route.method, path, served)
        register_app(app, runtime)
        if dialect is not None:
            dialect.attach(app, runtime, guards)
    return Runner(
        app,
        envelope,
        guards,
        plain_routes,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=shutdown_timeout,
    )


def _allowed_origins(settings: Settings) -> frozenset[str] | None:
    """Return which pages may call; None for those of this machine, which embedded stores are used on."""
    if settings.cors_origins is None and settings.database_url is not None:
        return frozenset()
    return settings.cors_origins
