"""The application: every route of the service behind one set of middlewares."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from handlers import (
    chat,
    counselings,
    docs_page,
    envelope,
    openapi,
    operations,
    psychologists,
    routing,
    sessions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.runtime import Runtime

VERSION: Final = "0.1.0"
ROUTES: Final = (*counselings.ROUTES, *chat.ROUTES, *sessions.ROUTES, *psychologists.ROUTES)
#: The longest body of the contract is a message of 4,096 characters, escaped in the longest way.
_LARGEST_BODY: Final = 64 * 1024


def api_document() -> dict[str, Any]:
    """Make the OpenAPI document."""
    return openapi.document(ROUTES, version=VERSION)


def build_app(runtime: Runtime, *, draining: Callable[[], bool] = lambda: False) -> web.Application:
    """Build the application for a runtime."""
    app = web.Application(
        client_max_size=_LARGEST_BODY,
        middlewares=[envelope.middleware(runtime.metrics, time.perf_counter)],
    )
    document = api_document()
    operations.register(app, runtime, document=document, page=docs_page.render(document), draining=draining)
    routing.register(app, ROUTES, runtime)
    return app
