"""Ably's REST resources."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import web

from .capabilities import FULL_CAPABILITY
from .credentials import authenticate
from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT, Grant
from .history import PageQuery, link_header
from .http import accepted_format, read_body, respond
from .messages import read_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .channels import Channel, Channels
    from .connections import Connections
    from .limits import Limits
    from .protocol import Message
    from .publications import Backlog
    from .tokens import Keyring


class Rest:
    """The handlers of every REST resource; `routes` names their paths."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        channels: Channels,
        connections: Connections,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._keyring = keyring
        self._channels = channels
        self._connections = connections
        self._clock = clock
        self._limits = limits

    def routes(self) -> Iterator[web.RouteDef]:
        """Name the routes to put into an application."""
        yield web.get("/time", self.time)
        yield web.post("/keys/{key_name}/requestToken", self.request_token)
        yield web.post("/keys/{key_name}/revokeTokens", self.revoke_tokens)
        yield web.post("/messages", self.publish_batch)
        yield web.post("/channels/{channel}/messages", self.publish)
        yield web.get("/channels/{channel}/messages", self.history)
        yield web.get("/channels/{channel}/history", self.history)
        yield web.get("/channels/{channel}/presence", self.presence)
        yield web.get("/channels/{channel}/presence/history", self.presence_history)
        yield web.get("/channels/{channel}", self.status)

    async def time(self, request: web.Request) -> web.Response:
        """Answer `[now]`, in milliseconds."""
        return respond(request, [int(self._clock() * 1000)])

    async def request_token(self, request: web.Request) -> web.Response:
        """Exchange a signed TokenRequest for TokenDetails."""
        body = await read_body(request)
        if not isinstance(body, dict):
            raise AblyError(ErrorCode.INVALID_BODY, "a TokenRequest must be an object")
        details = self._keyring.request_token(request.match_info["key_name"], body)
        return respond(request, details, status=201)

    async def revoke_tokens(self, request: web.Request) -> web.Response:
        """Revoke tokens by `{targets: ["revocationKey:x", "clientId:y"], issuedBefore?}` (milliseconds)."""
        self._require_owner(self._authenticate(request), request.match_info["key_name"])
        body = await read_body(request)
        targets = body.get("targets") if isinstance(body, dict) else None
        if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
            raise AblyError(ErrorCode.INVALID_BODY, "targets must be a list of texts")
        now = int(self._clock() * 1000)
        issued_before = body.get("issuedBefore", now) if isinstance(body, dict) else now
        if type(issued_before) is not int or issued_before > now:
            raise AblyError(
                ErrorCode.INVALID_PARAMETER, "issuedBefore must be milliseconds, not in the future"
            )
        for target in targets:
            self._keyring.revocations.revoke(target, issued_before / 1000)
        self._connections.disconnect_revoked()
        results = [{"target": t, "issuedBefore": issued_before, "appliesAt": now} for t in targets]
        answer = {"successCount": len(results), "failureCount": 0, "results": results}
        return respond(request, answer, status=201)

    async def publish(self, request: web.Request) -> web.Response:
        """Publish one message or a list of them, all or none."""
        grant, channel = self._authenticate(request), self._channel(request)
        grant.capability.require(channel.name, "publish")
        messages = read_messages(await read_body(request), grant, self._limits)
        return respond(request, channel.publish(messages), status=201)

    async def publish_batch(self, request: web.Request) -> web.Response:
        """Publish `{channels, messages}` or a list of them; each channel succeeds or fails for itself."""
        grant = self._authenticate(request)
        body = await read_body(request)
        if not isinstance(body, list):
            return respond(request, self._publish_spec(body, grant), status=201)
        if not 0 < len(body) <= self._limits.batch_specs:
            raise AblyError(ErrorCode.INVALID_BODY, "too few or too many batch specs")
        return respond(request, [self._publish_spec(spec, grant) for spec in body], status=201)

    async def history(self, request: web.Request) -> web.Response:
        """Answer a page of the messages of the last two minutes."""
        channel = self._permitted(request, "history")
        return self._page(request, channel.messages)

    async def presence_history(self, request: web.Request) -> web.Response:
        """Answer a page of the presence events of the last two minutes."""
        channel = self._permitted(request, "history")
        return self._page(request, channel.presence_events)

    async def presence(self, request: web.Request) -> web.Response:
        """Answer who is present, at most `limit`; by `clientId` and `connectionId` if given."""
        channel = self._permitted(request, "presence", "subscribe")
        wanted = {
            name: request.query[name] for name in ("clientId", "connectionId") if request.query.get(name)
        }
        limit = PageQuery.read(request.query, self._channels.recorder.position_of).limit
        members = (m for m in channel.presence if all(m.get(name) == value for name, value in wanted.items()))
        return self._messages(request, list(islice(members, limit)), {})

    async def status(self, request: web.Request) -> web.Response:
        """Answer the channel's details: whether it is active, and how many are there."""
        channel = self._permitted(request, "channel-metadata", "subscribe")
        metrics = channel.occupancy()
        status = {"isActive": metrics["connections"] > 0, "occupancy": {"metrics": metrics}}
        return respond(request, {"channelId": channel.name, "name": channel.name, "status": status})

    def _publish_spec(self, spec: object, grant: Grant) -> dict[str, object]:
        names = spec.get("channels") if isinstance(spec, dict) else None
        if isinstance(names, str):
            names = [names]
        if not isinstance(spec, dict) or not isinstance(names, list) or not names:
            raise AblyError(ErrorCode.INVALID_BODY, "a batch spec must have channels and messages")
        if len(names) > self._limits.batch_channels or not all(isinstance(name, str) for name in names):
            raise AblyError(ErrorCode.INVALID_BODY, "too many channels, or names that are not text")
        results: list[dict[str, object]] = []
        failures = 0
        for name in names:
            try:
                grant.capability.require(name, "publish")
                messages = read_messages(
                    spec.get("messages"), grant, self._limits, most=self._limits.batch_messages
                )
                results.append(self._channels.get(name).publish(messages))
            except AblyError as error:
                failures += 1
                results.append({"channel": name, "error": error.wire()})
        return {"successCount": len(results) - failures, "failureCount": failures, "results": results}

    def _page(self, request: web.Request, backlog: Backlog) -> web.Response:
        backlog.expire(self._clock())
        query = PageQuery.read(request.query, self._channels.recorder.position_of)
        messages, following = query.page(backlog)
        resource = request.path.rpartition("/")[2]
        return self._messages(request, messages, {"Link": link_header(resource, request.query, following)})

    def _messages(
        self, request: web.Request, messages: list[Message], headers: dict[str, str]
    ) -> web.Response:
        return respond(request, wire_messages(messages, accepted_format(request)), headers=headers)

    def _permitted(self, request: web.Request, *operations: str) -> Channel:
        channel = self._channel(request)
        self._authenticate(request).capability.require(channel.name, *operations)
        return channel

    def _authenticate(self, request: web.Request) -> Grant:
        return authenticate(self._keyring, request.headers, request.query)

    def _channel(self, request: web.Request) -> Channel:
        return self._channels.get(request.match_info["channel"])

    def _require_owner(self, grant: Grant, key_name: str) -> None:
        """Revoking takes the key itself.

        The Python SDK refuses to send a key over plain http, where this endpoint lives. So a token will do as
        well if it can everything that its key can.
        """
        unrestricted = grant.capability == FULL_CAPABILITY and grant.client_id in (None, ANY_CLIENT)
        if grant.key_name != key_name or not (grant.is_key or unrestricted):
            raise AblyError(ErrorCode.REQUIRES_KEY, "revoking tokens requires the key that issued them")
