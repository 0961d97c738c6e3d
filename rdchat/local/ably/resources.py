"""What all the resources over HTTP need: whose request it is, and what goes wrong with it on purpose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from .faults import Fault, FaultKind, Faults, Operation

if TYPE_CHECKING:
    from .apps import App, Apps
    from .grants import Grant
    from .http import Handler

_POLL_SECONDS = 0.1  # only where a fault asks for an answer that never comes


def admitted(apps: Apps, request: web.Request) -> tuple[App, Grant]:
    """Verify the request's credentials. Raise AblyError."""
    return apps.admit(request.headers, request.query)


def exposed(handler: Handler, operation: Operation, faults: Faults) -> Handler:
    """Wrap a handler so that the faults in force happen to it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        fault = faults.take(operation, request.match_info.get("channel"))
        return await perform_under(fault, request, handler)

    return handle


async def perform_under(fault: Fault | None, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call a handler as far as the fault lets it. Raise AblyError where it refuses."""
    if fault is None:
        return await handler(request)
    if fault.kind is FaultKind.DROP:
        return cut(request)
    if fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.seconds)
    elif fault.kind is not FaultKind.HANG:
        raise fault.error()
    response = await handler(request)
    if fault.kind is FaultKind.HANG:
        await _until_gone(request)
        return cut(request)
    return response


def cut(request: web.Request) -> web.Response:
    """Cut the socket of a request; returns a response that goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def _until_gone(request: web.Request) -> None:
    # aiohttp notifies a handler that its client has gone when it writes, and this one does not.
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - see above
        await asyncio.sleep(_POLL_SECONDS)
