"""Connections: opened, resumed, dropped and closed; each outlives its websocket for a while."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from .credentials import authenticate_query
from .encoding import encode
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT
from .protocol import Action, Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .channels import Channels
    from .grants import Grant
    from .limits import Limits
    from .tokens import Keyring


class Outbox(Protocol):
    """Where a connection's frames go: one websocket."""

    def send(self, frame: bytes) -> None:
        """Queue a frame; never blocks. Aborts the websocket when its reader is too slow."""

    def finish(self) -> None:
        """Close the websocket once everything queued has been sent."""

    def abort(self) -> None:
        """Drop the websocket at once."""


@dataclass(slots=True, eq=False)
class Connection:
    """One client's connection. `outbox` is None while its websocket is gone but it may still be resumed."""

    id: str
    key: str
    grant: Grant
    client_id: str | None
    format: Format
    echo: bool
    outbox: Outbox | None = None
    attached: set[str] = field(default_factory=set)
    dropped_at: float | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def send(self, **message: object) -> None:
        """Queue one protocol message."""
        self.send_frame(encode(message, self.format))

    def send_frame(self, frame: bytes) -> None:
        """Queue one encoded protocol message; lost when the websocket is gone."""
        if self.outbox is not None:
            self.outbox.send(frame)

    def cancel_timers(self) -> None:
        """Forget what was to happen to this connection later."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


class Connections:
    """All the connections of the endpoint, and what happens to them as time passes."""

    def __init__(
        self, *, keyring: Keyring, channels: Channels, clock: Callable[[], float], limits: Limits
    ) -> None:
        self._keyring = keyring
        self._channels = channels
        self._clock = clock
        self._limits = limits
        self._connections: dict[str, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        """Every connection, those that wait to be resumed included."""
        return iter(list(self._connections.values()))

    def open(self, query: Mapping[str, str], outbox: Outbox) -> Connection:
        """Authenticate a new websocket, resume its connection if it asks for one, and send CONNECTED.

        `query` is that of the websocket's URL. Raises AblyError when the credentials are refused.
        """
        asserted = query.get("clientId") or None
        grant = authenticate_query(self._keyring, query, asserted)
        client_id = grant.speak_for(None if asserted == ANY_CLIENT else asserted)
        given_key = query.get("resume") or query.get("recover") or ""
        connection, error = self._recover(given_key, client_id)
        if connection is None:
            connection = Connection(
                secrets.token_urlsafe(8), "", grant, client_id, Format.JSON, echo=query.get("echo") != "false"
            )
            self._connections[connection.id] = connection
        connection.key = f"{connection.id}!{secrets.token_urlsafe(12)}"
        connection.format = query_format(query)
        connection.outbox = outbox
        connection.dropped_at = None
        self.authorize(connection, grant)
        self.send_connected(connection, error)
        return connection

    def authorize(self, connection: Connection, grant: Grant) -> None:
        """Let the connection go on under `grant`, until that expires."""
        connection.client_id = connection.client_id or grant.speak_for(None)
        # A connection that has said who it is speaks for nobody else, even with a wildcard token.
        connection.grant = replace(grant, client_id=connection.client_id or grant.client_id)
        connection.cancel_timers()
        if grant.expires is None:
            return
        remaining = grant.expires - self._clock()
        lead = self._limits.reauth_lead
        if remaining > lead:
            self._later(connection, remaining - lead, self._ask_for_token)
        self._later(connection, remaining, self._expire)

    def send_connected(self, connection: Connection, error: AblyError | None = None) -> None:
        """Tell the client its connectionId and details; `error` says why it is not the one it asked for."""
        details: dict[str, object] = {
            "connectionKey": connection.key,
            "connectionStateTtl": int(self._limits.connection_state_ttl * 1000),
            "maxIdleInterval": int(self._limits.max_idle_interval * 1000),
            "maxMessageSize": self._limits.message_size,
            "maxFrameSize": self._limits.frame_size,
            "serverId": "ably-local",
        }
        if connection.client_id is not None:
            details["clientId"] = connection.client_id
        elif connection.grant.client_id == ANY_CLIENT and not connection.grant.is_key:
            # Only when told so do the SDKs let their user enter presence for others.
            details["clientId"] = ANY_CLIENT
        message: dict[str, object] = {
            "action": Action.CONNECTED,
            "connectionId": connection.id,
            "connectionDetails": details,
        }
        if error is not None:
            message["error"] = error.wire()
        connection.send(**message)

    def drop(self, connection: Connection, outbox: Outbox) -> None:
        """Note that this websocket is gone. Until connectionStateTtl has passed it may be resumed."""
        if connection.outbox is not outbox:
            return  # resumed on another websocket, or closed
        self._forget_websocket(connection)
        connection.dropped_at = self._clock()
        self._later(connection, self._limits.presence_grace, self._leave)
        self._later(connection, self._limits.connection_state_ttl, self._forget)

    def close(self, connection: Connection) -> None:
        """End a connection for good, as its client asked: its members leave at once."""
        connection.send(action=Action.CLOSED)
        self._end(connection)

    def fail(self, connection: Connection, error: AblyError) -> None:
        """Tell the client of a fatal error and end its connection."""
        connection.send(action=Action.ERROR, error=error.wire())
        self._end(connection)

    def disconnect(self, connection: Connection, error: AblyError) -> None:
        """Tell the client why its websocket closes; it may come back and resume."""
        connection.send(action=Action.DISCONNECTED, error=error.wire())
        outbox = connection.outbox
        if outbox is not None:
            outbox.finish()
            self.drop(connection, outbox)

    def disconnect_revoked(self) -> None:
        """Disconnect every client whose token has been revoked."""
        for connection in self:
            if self._keyring.revocations.cover(connection.grant):
                self.disconnect(connection, AblyError(ErrorCode.TOKEN_REVOKED, "token revoked"))

    def abort_all(self) -> None:
        """Drop every websocket and forget every connection."""
        for connection in self:
            connection.cancel_timers()
            if connection.outbox is not None:
                connection.outbox.abort()
                connection.outbox = None
        self._connections.clear()
        self._channels.forget_members()

    def _recover(self, key: str, client_id: str | None) -> tuple[Connection | None, AblyError | None]:
        if not key:
            return None, None
        connection_id, separator, _ = key.partition("!")
        if not separator:
            return None, AblyError(ErrorCode.INVALID_CONNECTION_KEY, "invalid connection key")
        connection = self._connections.get(connection_id)
        if connection is None:
            return None, AblyError(
                ErrorCode.CONNECTION_EXPIRED, "unable to recover connection: it has expired"
            )
        if (
            not secrets.compare_digest(connection.key.encode(), key.encode())
            or connection.client_id != client_id
        ):
            return None, AblyError(ErrorCode.INVALID_CONNECTION_KEY, "invalid connection key")
        if connection.outbox is not None:
            # The client noticed before the endpoint did that the old websocket is dead.
            connection.outbox.abort()
            self._forget_websocket(connection)
        return connection, None

    def _end(self, connection: Connection) -> None:
        outbox = connection.outbox
        self._forget_websocket(connection)
        self._leave(connection)
        self._forget(connection)
        if outbox is not None:
            outbox.finish()

    def _forget_websocket(self, connection: Connection) -> None:
        # The SDKs attach again after every CONNECTED, so attachments end with their websocket.
        connection.cancel_timers()
        connection.outbox = None
        for name in connection.attached:
            self._channels.get(name).detach(connection.id)

    def _leave(self, connection: Connection) -> None:
        for name in connection.attached:
            self._channels.get(name).leave(connection.id)
        connection.attached.clear()

    def _forget(self, connection: Connection) -> None:
        connection.cancel_timers()
        self._connections.pop(connection.id, None)

    def _ask_for_token(self, connection: Connection) -> None:
        connection.send(action=Action.AUTH)

    def _expire(self, connection: Connection) -> None:
        self.disconnect(connection, AblyError(ErrorCode.TOKEN_EXPIRED, "token expired"))

    def _later(self, connection: Connection, delay: float, what: Callable[[Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        connection.timers.append(loop.call_later(max(delay, 0.0), what, connection))


def query_format(query: Mapping[str, str]) -> Format:
    """Read the format that a websocket's URL asks for; JSON unless it says `format=msgpack`."""
    return Format.MSGPACK if query.get("format") == Format.MSGPACK.value else Format.JSON
