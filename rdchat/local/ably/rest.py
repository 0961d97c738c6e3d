"""Ably's REST resources of channels: publishing, history, presence, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .faults import FaultKind, Faults, Operation
from .grants import ANY_CLIENT
from .history import PageQuery, link_header, page_of_members
from .http import accepted_format, read_body, refuse, respond, version
from .messages import read_messages
from .resources import admitted, exposed, perform_under
from .unsupported import refuse_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .apps import App, Apps
    from .backlog import Backlog
    from .channel import Channel
    from .grants import Grant
    from .protocol import Message

_BATCH_RESULT_VERSION = 3


class ChannelResources:
    """The handlers of the resources of channels; `routes` names their paths."""

    def __init__(self, apps: Apps, faults: Faults, clock: Callable[[], float]) -> None:
        self._apps = apps
        self._faults = faults
        self._clock = clock

    def routes(self) -> Iterator[web.RouteDef]:
        """Return the routes to add to an application."""
        for method, path, handler, operation in (
            ("POST", "/channels/{channel}/messages", self.publish, Operation.PUBLISH),
            ("GET", "/channels/{channel}/messages", self.history, Operation.READ),
            ("GET", "/channels/{channel}/history", self.history, Operation.READ),
            ("GET", "/channels/{channel}/presence", self.presence, Operation.READ),
            ("GET", "/channels/{channel}/presence/history", self.presence_history, Operation.READ),
            ("GET", "/channels/{channel}", self.status, Operation.READ),
            ("GET", "/presence", self.presence_batch, Operation.READ),
        ):
            yield web.route(method, path, exposed(handler, operation, self._faults))
        yield web.post("/messages", self.publish_batch)
        yield web.get("/time", self.time)
        yield web.get("/stats", self.stats)

    async def time(self, request: web.Request) -> web.Response:
        """Answer `[now]`, in milliseconds."""
        return respond(request, [int(self._clock() * 1000)])

    async def stats(self, request: web.Request) -> web.Response:
        """Answer that there are none: callers learn whether their credentials are good."""
        admitted(self._apps, request)
        return respond(request, [])

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one message or a list of them, all or none.

        A message may name the connectionKey of the connection in whose name it is published.
        """
        app, grant = admitted(self._apps, request)
        name = request.match_info["channel"]
        body = await read_body(request)
        refuse_edits(body, grant, name)
        grant.capability.require(name, "publish")
        channel = app.channels.get(name)
        if request.query.get("_forceNack", "").lower() == "true":
            raise AblyError(ErrorCode.FORCED, "refused, as was asked for")
        connection_id, grant = _on_behalf(app, grant, body)
        messages = read_messages(body, grant, app.limits)
        return respond(request, channel.publish(messages, connection_id=connection_id), status=201)

    async def publish_batch(self, request: web.Request) -> web.StreamResponse:
        """Publish `{channels, messages}` or a list of them; each channel succeeds or fails for itself.

        A fault of one of the channels happens to the whole request, but for a refusal.
        """
        app, grant = admitted(self._apps, request)
        body = await read_body(request)
        specs = body if isinstance(body, list) else [body]
        if not 0 < len(specs) <= app.limits.batch_specs:
            raise AblyError(ErrorCode.INVALID_BODY, "too few or too many batch specs")
        read = [_channels_of(spec) for spec in specs]
        if sum(map(len, read)) > app.limits.batch_names:
            raise AblyError(ErrorCode.INVALID_BODY, f"more than {app.limits.batch_names} channels in all")
        most = app.limits.batch_channels
        if len({name for names in read for name in names}) > most:
            raise AblyError(
                ErrorCode.TOO_MANY_CHANNELS,
                f"max number of channels permitted in a single bulk publish request ({most}) exceeded",
            )
        faults = ((name, self._faults.take(Operation.PUBLISH, name)) for names in read for name in names)
        at, fault = next(((name, fault) for name, fault in faults if fault is not None), ("", None))
        refused: dict[str, AblyError] = {}
        if fault is not None and fault.kind is FaultKind.REFUSE:
            refused[at], fault = fault.error(), None

        async def publish(request: web.Request) -> web.StreamResponse:
            results = [
                [_publish_to(app, grant, name, spec["messages"], refused.get(name)) for name in names]
                for spec, names in zip(specs, read, strict=True)
            ]
            if version(request) < _BATCH_RESULT_VERSION:
                return _flat_batch(request, [one for result in results for one in result], status=201)
            counted = [_counted(result) for result in results]
            return respond(request, counted if isinstance(body, list) else counted[0], status=201)

        return await perform_under(fault, request, publish)

    async def history(self, request: web.Request) -> web.Response:
        """Answer a page of the messages of the last two minutes."""
        app, channel = self._permitted(request, "history")
        return self._page(request, app, channel, channel.messages)

    async def presence_history(self, request: web.Request) -> web.Response:
        """Answer a page of the presence events of the last two minutes."""
        app, channel = self._permitted(request, "history")
        return self._page(request, app, channel, channel.presence_events)

    async def presence(self, request: web.Request) -> web.Response:
        """Answer a page of who is present; only those of a `clientId` or `connectionId` if given."""
        _, channel = self._permitted(request, "presence", "subscribe")
        members, link = page_of_members(list(channel.presence), request.query)
        return self._messages(request, members, {"Link": link})

    async def presence_batch(self, request: web.Request) -> web.Response:
        """Answer who is present on each of the channels that `channels` lists, separated by commas."""
        app, grant = admitted(self._apps, request)
        names = [name for name in request.query.get("channels", "").split(",") if name]
        if not names:
            raise AblyError(ErrorCode.BAD_REQUEST, "channels must name some")
        most = app.limits.batch_channels
        if len(names) > most:
            raise AblyError(
                ErrorCode.TOO_MANY_CHANNELS,
                f"max number of channels permitted in a single batch presence request ({most}) exceeded",
            )
        fmt = accepted_format(request)
        results: list[dict[str, object]] = []
        for name in names:
            try:
                grant.capability.require(name, "presence", "subscribe")
                members = list(app.channels.get(name).presence)
                results.append({"channel": name, "presence": wire_messages(members, fmt)})
            except AblyError as error:
                results.append({"channel": name, "error": error.wire()})
        if version(request) < _BATCH_RESULT_VERSION:
            return _flat_batch(request, results, status=200)
        return respond(request, _counted(results))

    async def status(self, request: web.Request) -> web.Response:
        """Answer the channel's details: that it is active (asking makes it so), and how many are there."""
        _, channel = self._permitted(request, "channel-metadata", "subscribe")
        status = {"isActive": True, "occupancy": {"metrics": channel.occupancy()}}
        return respond(request, {"channelId": channel.name, "name": channel.name, "status": status})

    def _page(self, request: web.Request, app: App, channel: Channel, backlog: Backlog) -> web.Response:
        channel.expire(self._clock())
        query = PageQuery.read(request.query, app.channels.recorder.place_after)
        messages, following = query.page(backlog)
        resource = request.path.rpartition("/")[2]
        return self._messages(request, messages, {"Link": link_header(resource, request.query, following)})

    def _messages(
        self, request: web.Request, messages: list[Message], headers: dict[str, str]
    ) -> web.Response:
        return respond(request, wire_messages(messages, accepted_format(request)), headers=headers)

    def _permitted(self, request: web.Request, *operations: str) -> tuple[App, Channel]:
        app, grant = admitted(self._apps, request)
        name = request.match_info["channel"]
        grant.capability.require(name, *operations)
        return app, app.channels.get(name)


def _on_behalf(app: App, grant: Grant, body: object) -> tuple[str | None, Grant]:
    """Return the connection in whose name messages are published, if they name one, and what that may do."""
    items = body if isinstance(body, list) else [body]
    given = [item.get("connectionKey") for item in items if isinstance(item, dict)]
    keys = [key for key in given if key is not None]
    if not keys:
        return None, grant
    same = isinstance(keys[0], str) and all(key == keys[0] for key in keys)
    connection = app.connections.by_key(keys[0]) if same else None
    if connection is None:
        raise AblyError(ErrorCode.INVALID_CONNECTION, "malformed message; invalid connectionKey")
    if grant.client_id not in (ANY_CLIENT, connection.client_id):
        raise AblyError(ErrorCode.INVALID_CONNECTION, "malformed message; mismatched connectionKey")
    return connection.id, connection.grant


def _channels_of(spec: object) -> list[str]:
    names = spec.get("channels") if isinstance(spec, dict) else None
    if isinstance(names, str):
        names = [names]
    if not isinstance(spec, dict) or "messages" not in spec or not isinstance(names, list) or not names:
        raise AblyError(ErrorCode.INVALID_BODY, "a batch spec must have channels and messages")
    if not all(isinstance(name, str) for name in names):
        raise AblyError(ErrorCode.INVALID_BODY, "channels must be text")
    return names


def _publish_to(
    app: App, grant: Grant, name: str, body: object, refusal: AblyError | None
) -> dict[str, object]:
    try:
        if refusal is not None:
            raise refusal
        refuse_edits(body, grant, name)
        grant.capability.require(name, "publish")
        messages = read_messages(body, grant, app.limits)
        return app.channels.get(name).publish(messages)
    except AblyError as error:
        return {"channel": name, "error": error.wire()}


def _counted(results: list[dict[str, object]]) -> dict[str, object]:
    failures = sum("error" in result for result in results)
    return {"successCount": len(results) - failures, "failureCount": failures, "results": results}


def _flat_batch(request: web.Request, results: list[dict[str, object]], *, status: int) -> web.Response:
    """Answer a batch as before version 3 of the protocol: one list, or an error that carries it."""
    if not any("error" in result for result in results):
        return respond(request, results, status=status)
    error = AblyError(ErrorCode.BATCH_ERROR, "batched response includes errors")
    return refuse(request, error, batchResponse=results)
