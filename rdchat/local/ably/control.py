"""The control routes: faults and outages for those who test against an endpoint in another process.

Only programs of the same machine reach them, and no page in a browser: a request must come from a loopback
address, name one as its host, and carry no `Origin`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .faults import Fault, FaultKind, Operation
from .http import read_body, respond
from .numerals import whole_number
from .protocol import Format

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from .apps import Apps
    from .faults import Faults
    from .protocol import Message

    Handler = Callable[[web.Request], Awaitable[web.Response]]

_LONGEST_OUTAGE = 600.0
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "on": str,
    "channel": str,
    "times": int,
    "seconds": (int, float),
    "code": int,
    "status": int,
    "message": str,
}


class Controllable(Protocol):
    """The endpoint, as far as it is controlled from here."""

    apps: Apps
    faults: Faults

    @property
    def published(self) -> deque[tuple[str, Message]]:
        """What was accepted in the app of the first key."""
        ...

    def drop_sockets(self) -> None:
        """Cut every websocket."""
        ...

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Be unreachable for as long as the context lasts."""
        ...


class ControlResources:
    """The handlers of everything below `/control`."""

    def __init__(self, endpoint: Controllable) -> None:
        self._endpoint = endpoint
        self._outage: asyncio.Task[None] | None = None

    def routes(self) -> Iterator[web.RouteDef]:
        """Return the routes to add to an application."""
        for method, path, handler in (
            ("GET", "/control/faults", self.faults),
            ("POST", "/control/faults", self.add_fault),
            ("DELETE", "/control/faults", self.clear_faults),
            ("DELETE", "/control/faults/{number}", self.remove_fault),
            ("POST", "/control/drop-sockets", self.drop_sockets),
            ("POST", "/control/outage", self.outage),
            ("GET", "/control/published", self.published),
            ("DELETE", "/control/published", self.forget_published),
        ):
            yield web.route(method, path, _local(handler))

    async def close(self, _application: web.Application) -> None:
        """End an outage, since the endpoint itself ends."""
        if self._outage is not None:
            self._outage.cancel()
            await asyncio.wait({self._outage})

    async def faults(self, request: web.Request) -> web.Response:
        """List the faults in force; `times` is what is left of them."""
        return respond(request, [_described(number, one) for number, one in self._endpoint.faults])

    async def add_fault(self, request: web.Request) -> web.Response:
        """Add a fault: `{kind, on?, channel?, times?, seconds?, code?, status?, message?}`."""
        fault = _read_fault(await read_body(request))
        number = self._endpoint.faults.add(fault)
        return respond(request, _described(number, fault), status=201)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Remove all faults."""
        self._endpoint.faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Remove one fault."""
        number = whole_number(request.match_info["number"])
        if number is None or not self._endpoint.faults.remove(number):
            raise AblyError(ErrorCode.NOT_FOUND, "no fault of this number is in force")
        return web.Response(status=204)

    async def drop_sockets(self, _request: web.Request) -> web.Response:
        """Cut every websocket."""
        self._endpoint.drop_sockets()
        return web.Response(status=204)

    async def outage(self, request: web.Request) -> web.Response:
        """Be unreachable for `{seconds}`, from the answer on."""
        body = await read_body(request)
        seconds = body.get("seconds") if isinstance(body, dict) else None
        if not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_OUTAGE:
            raise AblyError(
                ErrorCode.INVALID_PARAMETER, f"seconds must be more than 0, at most {_LONGEST_OUTAGE:.0f}"
            )
        if self._outage is not None and not self._outage.done():
            raise AblyError(ErrorCode.BAD_REQUEST, "there is an outage already")
        response = respond(request, {"seconds": seconds}, status=202)
        await response.prepare(request)
        await response.write_eof()
        self._outage = asyncio.create_task(self._be_away(seconds))
        return response

    async def published(self, request: web.Request) -> web.Response:
        """List what was accepted in `app` (its id; default: that of the first key), oldest first.

        Each is `{channel, message}`; only those of `channel` if it is given.
        """
        wanted = request.query.get("channel")
        recorded = [
            {"channel": channel, "message": wire_messages([message], Format.JSON)[0]}
            for channel, message in self._record(request)
            if wanted in (None, channel)
        ]
        return respond(request, recorded)

    async def forget_published(self, request: web.Request) -> web.Response:
        """Empty that list."""
        self._record(request).clear()
        return web.Response(status=204)

    def _record(self, request: web.Request) -> deque[tuple[str, Message]]:
        app_id = request.query.get("app")
        if app_id is None:
            return self._endpoint.published
        return self._endpoint.apps.get(app_id).channels.recorder.published

    async def _be_away(self, seconds: float) -> None:
        async with self._endpoint.outage():
            await asyncio.sleep(seconds)


def _local(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        if not (_is_loopback(request.remote) and _is_loopback(_host(request))) or "Origin" in request.headers:
            raise AblyError(ErrorCode.FORBIDDEN, "only programs of this machine may control the endpoint")
        return await handler(request)

    return handle


def _host(request: web.Request) -> str | None:
    try:
        return request.url.host
    except ValueError:  # a port that is none
        return None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _read_fault(body: object) -> Fault:
    if not isinstance(body, dict):
        raise AblyError(ErrorCode.INVALID_BODY, "a fault must be an object")
    fields = {name: value for name, value in body.items() if value is not None}
    wrong = [
        str(name)
        for name, value in fields.items()
        if name not in _FIELDS or not isinstance(value, _FIELDS[name]) or isinstance(value, bool)
    ]
    if wrong:
        raise AblyError(ErrorCode.INVALID_BODY, f"unknown, or of the wrong type: {', '.join(wrong)}")
    for name, choices in (("kind", FaultKind), ("on", Operation)):
        known = [choice.value for choice in choices]
        if name in fields and fields[name] not in known:
            raise AblyError(ErrorCode.INVALID_BODY, f"{name} must be one of {', '.join(known)}")
    if "kind" not in fields:
        raise AblyError(ErrorCode.INVALID_BODY, "kind is missing")
    try:
        fields["kind"] = FaultKind(fields["kind"])
        if "on" in fields:
            fields["on"] = Operation(fields["on"])
        return Fault(**fields)
    except ValueError as error:
        raise AblyError(ErrorCode.INVALID_BODY, str(error)) from error


def _described(number: int, fault: Fault) -> Mapping[str, object]:
    return {
        "number": number,
        "kind": fault.kind.value,
        "on": fault.on.value if fault.on is not None else None,
        "channel": fault.channel,
        "times": fault.times,
        "seconds": fault.seconds,
        "code": int(fault.code),
        "status": fault.status,
        "message": fault.message,
    }
