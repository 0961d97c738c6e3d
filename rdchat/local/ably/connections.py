"""Connections: opened, resumed, dropped and closed; each outlives its websocket for a while."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from .connection import NORMAL_CLOSURE, TRY_AGAIN_LATER, Connection, Outbox, Pace, closing_code, query_format
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT
from .numerals import whole_number
from .protocol import Action, Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .channels import Channels
    from .grants import Grant
    from .limits import Limits
    from .tokens import Keyring

_ID_BYTES, _SECRET_BYTES = 8, 12
# As they are made here: base64 of so many bytes.
_CONNECTION_KEY = re.compile(r"[\w-]{11}![\w-]{16}", re.ASCII)


class Connections:
    """All the connections of an app, and what happens to them as time passes."""

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

    def open(self, grant: Grant, query: Mapping[str, str], outbox: Outbox) -> Connection:
        """Begin a connection on a new websocket, or resume the one that it asks for, and send CONNECTED.

        `query` is that of the websocket's URL. Raise AblyError 40012 when the clientId is not the grant's.
        """
        asserted = query.get("clientId") or None
        client_id = grant.speak_for(None if asserted == ANY_CLIENT else asserted)
        given_key = query.get("resume") or query.get("recover") or ""
        connection, error = self._recover(given_key, client_id)
        if connection is None:
            connection = Connection(
                secrets.token_urlsafe(_ID_BYTES),
                "",
                grant,
                client_id,
                Format.JSON,
                echo=query.get("echo") != "false",
                pace=Pace.of(self._limits, self._clock()),
                remain_present_for=_remain_present_for(query, self._limits),
            )
            self._connections[connection.id] = connection
        else:
            # A channel that the client does not attach to again is one that it has left while it was away.
            self._leave_later(connection)
        connection.key = f"{connection.id}!{secrets.token_urlsafe(_SECRET_BYTES)}"
        connection.format = query_format(query)
        connection.outbox = outbox
        self.authorize(connection, grant)
        self.send_connected(connection, error)
        return connection

    def by_key(self, key: str) -> Connection | None:
        """Return the connection that a connectionKey belongs to."""
        connection = self._connections.get(key.partition("!")[0])
        if connection is None or not secrets.compare_digest(connection.key.encode(), key.encode()):
            return None
        return connection

    def authorize(self, connection: Connection, grant: Grant) -> None:
        """Continue the connection under `grant`, until that expires."""
        connection.client_id = connection.client_id or grant.speak_for(None)
        # An identified connection acts for no other client, even with a wildcard token.
        connection.grant = replace(grant, client_id=connection.client_id or grant.client_id)
        connection.cancel_timers()
        connection.void_from = self._keyring.revocations.applies_at(grant)
        if connection.void_from is not None:
            self._later(connection, connection.void_from - self._clock(), self._revoked)
        if grant.expires is None:
            return
        remaining = grant.expires - self._clock()
        lead = self._limits.reauth_lead
        if remaining > lead:
            self._later(connection, remaining - lead, self._ask_for_token)
        self._later(connection, remaining, self._expire)

    def send_connected(self, connection: Connection, error: AblyError | None = None) -> None:
        """Send the client its connectionId and details; `error` says why it is not the one it asked for."""
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
            # Only if this is sent do the SDKs let their user enter presence for others.
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
        self._leave_later(connection)
        self._later(connection, self._limits.connection_state_ttl, self._forget)

    def close(self, connection: Connection) -> None:
        """End a connection for good, as its client asked: its members leave at once."""
        connection.send(action=Action.CLOSED)
        self._end(connection)

    def fail(self, connection: Connection, error: AblyError, code: int | None = None) -> None:
        """Send the client a fatal error and end its connection; `code` is the websocket's close code."""
        connection.send(action=Action.ERROR, error=error.wire())
        self._end(connection, closing_code(error) if code is None else code)

    def disconnect(self, connection: Connection, error: AblyError, code: int = NORMAL_CLOSURE) -> None:
        """Send the client the reason why its websocket closes; it may come back and resume."""
        connection.send(action=Action.DISCONNECTED, error=error.wire())
        outbox = connection.outbox
        if outbox is not None:
            outbox.finish(code)
            self.drop(connection, outbox)

    def disconnect_slow(self, connection: Connection, outbox: Outbox) -> None:
        """Disconnect a client that does not read what it is sent; it may come back and resume."""
        if connection.outbox is outbox:
            outbox.discard()
            self.disconnect(
                connection,
                AblyError(
                    ErrorCode.SUBSCRIBE_RATE,
                    "continuity lost: the client does not read as fast as its messages arrive",
                ),
                TRY_AGAIN_LATER,
            )

    def revoke(self) -> None:
        """Disconnect all whose token is revoked by now, and ask those for a new one whose will be."""
        now = self._clock()
        for connection in self:
            void_from = self._keyring.revocations.applies_at(connection.grant)
            if void_from is None or void_from == connection.void_from:
                continue
            connection.void_from = void_from
            if void_from <= now:
                self._revoked(connection)
            else:
                self._ask_for_token(connection)
                self._later(connection, void_from - now, self._revoked)

    def drop_sockets(self) -> None:
        """Cut every websocket, as a network does; the connections may be resumed."""
        for connection in self:
            if connection.outbox is not None:
                connection.outbox.abort()

    def abort_all(self) -> None:
        """Drop every websocket and forget every connection."""
        for connection in self:
            connection.cancel_timers()
            connection.leave_by(None)
            if connection.outbox is not None:
                connection.outbox.abort()
                connection.outbox = None
        self._connections.clear()
        self._channels.forget_members()

    def _recover(self, key: str, client_id: str | None) -> tuple[Connection | None, AblyError | None]:
        if not key:
            return None, None
        if _CONNECTION_KEY.fullmatch(key) is None:
            return None, _invalid_connection_key()
        if key.partition("!")[0] not in self._connections:
            return None, AblyError(
                ErrorCode.CONNECTION_EXPIRED, "unable to recover connection: it has expired"
            )
        connection = self.by_key(key)
        if connection is None or connection.client_id != client_id:
            return None, _invalid_connection_key()
        if connection.outbox is not None:
            # The client noticed before the endpoint did that the old websocket is dead.
            connection.outbox.abort()
            self._forget_websocket(connection)
        return connection, None

    def _end(self, connection: Connection, code: int = NORMAL_CLOSURE) -> None:
        outbox = connection.outbox
        self._forget_websocket(connection)
        self._forget(connection)
        if outbox is not None:
            outbox.finish(code)

    def _forget_websocket(self, connection: Connection) -> None:
        # The SDKs attach again after every CONNECTED, so attachments end with their websocket.
        connection.cancel_timers()
        connection.outbox = None
        for name in connection.attached:
            self._channels.get(name).detach(connection.id)

    def _leave_later(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.leave_by(loop.call_later(connection.remain_present_for, self._leave, connection))

    def _leave(self, connection: Connection) -> None:
        """Let its members leave where it is not attached."""
        connection.leave_by(None)
        for name in list(connection.attached):
            channel = self._channels.get(name)
            if connection.id not in channel.attachments:
                channel.leave(connection.id)
                connection.attached.discard(name)

    def _forget(self, connection: Connection) -> None:
        # No one else knows the members of a forgotten connection: they leave here.
        self._leave(connection)
        connection.cancel_timers()
        self._connections.pop(connection.id, None)

    def _revoked(self, connection: Connection) -> None:
        self.disconnect(connection, AblyError(ErrorCode.TOKEN_REVOKED, "token revoked"))

    def _ask_for_token(self, connection: Connection) -> None:
        connection.send(action=Action.AUTH)

    def _expire(self, connection: Connection) -> None:
        self.disconnect(connection, AblyError(ErrorCode.TOKEN_EXPIRED, "token expired"))

    def _later(self, connection: Connection, delay: float, what: Callable[[Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        connection.timers.append(loop.call_later(max(delay, 0.0), what, connection))


def _invalid_connection_key() -> AblyError:
    return AblyError(ErrorCode.INVALID_CONNECTION_KEY, "invalid connection key")


def _remain_present_for(query: Mapping[str, str], limits: Limits) -> float:
    milliseconds = whole_number(query.get("remainPresentFor", ""))
    if milliseconds is None:
        return limits.presence_grace
    return min(milliseconds / 1000, limits.connection_state_ttl)
