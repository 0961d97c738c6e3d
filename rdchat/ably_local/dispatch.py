"""What a connection's incoming protocol messages do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .attaching import Attaching
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT
from .messages import read_messages, read_presence
from .protocol import Action

if TYPE_CHECKING:
    from .channels import Channels
    from .connections import Connection, Connections
    from .limits import Limits
    from .tokens import Keyring

Frame = Mapping[str, object]


class Dispatcher:
    """Performs what clients ask for. One client's mistakes are answered to that client alone."""

    def __init__(
        self, *, keyring: Keyring, channels: Channels, connections: Connections, limits: Limits
    ) -> None:
        self._keyring = keyring
        self._channels = channels
        self._connections = connections
        self._limits = limits
        self._attaching = Attaching(channels, limits)
        self._actions: dict[int, Callable[[Connection, Frame], None]] = {
            Action.HEARTBEAT: self._heartbeat,
            Action.CLOSE: self._close,
            Action.DISCONNECT: self._disconnect,
            Action.ATTACH: self._on_channel(self._attaching.attach),
            Action.DETACH: self._on_channel(self._attaching.detach),
            Action.SYNC: self._on_channel(self._attaching.sync),
            Action.MESSAGE: self._acknowledged(self._publish),
            Action.PRESENCE: self._acknowledged(self._presence),
            Action.AUTH: self._auth,
        }

    def perform(self, connection: Connection, frame: object) -> None:
        """Perform one decoded protocol message. Actions that Ably does not know are ignored.

        Raises AblyError for what no NACK or channel's ERROR can answer: the connection must fail.
        """
        if not isinstance(frame, dict) or type(frame.get("action")) is not int:
            raise AblyError(ErrorCode.BAD_REQUEST, "a protocol message must be an object with an action")
        perform = self._actions.get(frame["action"])
        if perform is not None:
            perform(connection, frame)

    def _heartbeat(self, connection: Connection, frame: Frame) -> None:
        echo = {"id": frame["id"]} if isinstance(frame.get("id"), str) else {}
        connection.send(action=Action.HEARTBEAT, **echo)

    def _close(self, connection: Connection, _frame: Frame) -> None:
        self._connections.close(connection)

    def _disconnect(self, connection: Connection, _frame: Frame) -> None:
        if connection.outbox is not None:
            connection.outbox.finish()

    def _auth(self, connection: Connection, frame: Frame) -> None:
        auth = frame.get("auth")
        token = auth.get("accessToken") if isinstance(auth, dict) else None
        if not isinstance(token, str):
            raise AblyError(ErrorCode.BAD_REQUEST, "AUTH without an access token")
        grant = self._keyring.verify_token(token)
        if connection.client_id is not None and grant.client_id not in (connection.client_id, ANY_CLIENT):
            raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "a connection cannot change its clientId")
        self._connections.authorize(connection, grant)
        self._connections.send_connected(connection)
        self._attaching.check(connection)

    def _publish(self, connection: Connection, name: str, serial: int, frame: Frame) -> dict[str, object]:
        connection.grant.capability.require(name, "publish")
        messages = read_messages(frame.get("messages"), connection.grant, self._limits)
        return self._channels.get(name).publish(
            messages, id_base=f"{connection.id}:{serial}", connection_id=connection.id
        )

    def _presence(self, connection: Connection, name: str, serial: int, frame: Frame) -> dict[str, object]:
        connection.grant.capability.require(name, "presence")
        if name not in connection.attached:
            raise AblyError(ErrorCode.CHANNEL_STATE, "presence needs an attached channel")
        messages = read_presence(frame.get("presence"), connection.grant, connection.client_id, self._limits)
        self._channels.get(name).update_presence(
            messages, id_base=f"{connection.id}:{serial}", connection_id=connection.id
        )
        return {"serials": []}

    def _on_channel(
        self, perform: Callable[[Connection, str, Frame], None]
    ) -> Callable[[Connection, Frame], None]:
        def answered(connection: Connection, frame: Frame) -> None:
            name = _channel_name(frame)
            try:
                perform(connection, name, frame)
            except AblyError as error:
                self._attaching.fail(connection, name, error)

        return answered

    def _acknowledged(
        self, perform: Callable[[Connection, str, int, Frame], dict[str, object]]
    ) -> Callable[[Connection, Frame], None]:
        def answered(connection: Connection, frame: Frame) -> None:
            name, serial = _channel_name(frame), frame.get("msgSerial")
            if type(serial) is not int:
                raise AblyError(ErrorCode.BAD_REQUEST, "msgSerial must be a number")
            try:
                result = perform(connection, name, serial, frame)
            except AblyError as error:
                connection.send(action=Action.NACK, msgSerial=serial, count=1, error=error.wire())
            else:
                res = [{"serials": result["serials"]}]
                connection.send(action=Action.ACK, msgSerial=serial, count=1, res=res)

        return answered


def _channel_name(frame: Frame) -> str:
    name = frame.get("channel")
    if not isinstance(name, str):
        raise AblyError(ErrorCode.BAD_REQUEST, "channel must be text")
    return name
