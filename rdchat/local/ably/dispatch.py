"""What a connection's incoming protocol messages do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .attaching import Attaching
from .errors import AblyError, ErrorCode
from .faults import FaultKind, Faults, Operation
from .grants import ANY_CLIENT
from .messages import read_messages, read_presence
from .protocol import Action, Flag
from .rates import rate_exceeded
from .unsupported import annotation_refusal, objects_refusal, refuse_edits

if TYPE_CHECKING:
    from .channels import Channels
    from .connection import Connection
    from .connections import Connections
    from .limits import Limits
    from .tokens import Keyring

Frame = Mapping[str, object]

_NEEDING = {Flag.PUBLISH: "publish a message", Flag.PRESENCE: "enter, update or leave presence"}


class Dispatcher:
    """Performs what clients ask for. One client's mistakes are answered to that client alone."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        channels: Channels,
        connections: Connections,
        clock: Callable[[], float],
        limits: Limits,
        faults: Faults,
    ) -> None:
        self._keyring = keyring
        self._channels = channels
        self._connections = connections
        self._clock = clock
        self._limits = limits
        self._faults = faults
        self._attaching = Attaching(channels, limits)
        self._actions: dict[int, Callable[[Connection, Frame], None]] = {
            Action.HEARTBEAT: self._heartbeat,
            Action.CLOSE: self._close,
            Action.DISCONNECT: self._disconnect,
            Action.ATTACH: self._attach,
            Action.DETACH: self._on_channel(self._attaching.detach),
            Action.SYNC: self._on_channel(self._attaching.sync),
            Action.MESSAGE: self._acknowledged(self._publish, Operation.PUBLISH),
            Action.PRESENCE: self._acknowledged(self._presence, Operation.PRESENCE),
            Action.ANNOTATION: self._acknowledged(self._annotate, Operation.PUBLISH),
            Action.OBJECT: self._acknowledged(self._change_objects, Operation.PUBLISH),
            Action.OBJECT_SYNC: self._acknowledged(self._change_objects, Operation.PUBLISH),
            Action.AUTH: self._auth,
        }

    def perform(self, connection: Connection, frame: object) -> None:
        """Perform one decoded protocol message. Actions that Ably does not know are ignored.

        Raise AblyError for what no NACK or channel's ERROR can answer: the connection must fail.
        """
        if not isinstance(frame, dict) or type(frame.get("action")) is not int:
            raise AblyError(ErrorCode.BAD_REQUEST, "a protocol message must be an object with an action")
        if not connection.pace.frames.take(1, self._clock()):
            raise AblyError(
                ErrorCode.FRAME_RATE_FATAL,
                "connection terminated for abuse (inbound protocol message rate exceeded "
                f"{self._limits.connection_frames:g}/s)",
            )
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
        if grant.key_name != connection.grant.key_name:
            raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "a connection cannot change its key")
        if connection.client_id is not None and grant.client_id not in (connection.client_id, ANY_CLIENT):
            raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "a connection cannot change its clientId")
        self._connections.authorize(connection, grant)
        self._connections.send_connected(connection)
        self._attaching.check(connection)

    def _publish(self, connection: Connection, name: str, serial: int, frame: Frame) -> dict[str, object]:
        refuse_edits(frame.get("messages"), connection.grant, name)
        connection.grant.capability.require(name, "publish")
        self._require_mode(connection, name, Flag.PUBLISH)
        messages = read_messages(frame.get("messages"), connection.grant, self._limits)
        self._require_pace(connection, len(messages))
        return self._channels.get(name).publish(
            messages, id_base=f"{connection.id}:{serial}", connection_id=connection.id
        )

    def _presence(self, connection: Connection, name: str, serial: int, frame: Frame) -> dict[str, object]:
        connection.grant.capability.require(name, "presence")
        if connection.id not in self._channels.get(name).attachments:
            raise AblyError(
                ErrorCode.CHANNEL_STATE,
                f"unable to perform operation on channel: {name} (not currently attached)",
                status=404,
            )
        self._require_mode(connection, name, Flag.PRESENCE)
        messages = read_presence(frame.get("presence"), connection.grant, connection.client_id, self._limits)
        self._channels.get(name).update_presence(
            messages, id_base=f"{connection.id}:{serial}", connection_id=connection.id
        )
        return {"serials": []}

    def _annotate(self, connection: Connection, name: str, _serial: int, _frame: Frame) -> dict[str, object]:
        raise annotation_refusal("annotation-publish", connection.grant, name)

    def _change_objects(
        self, connection: Connection, name: str, _serial: int, _frame: Frame
    ) -> dict[str, object]:
        raise objects_refusal("object-publish", connection.grant, name)

    def _require_mode(self, connection: Connection, name: str, mode: Flag) -> None:
        """Restrict attached connections to the modes granted; publishing needs no attachment at all.

        The texts are those of https://ably.com/docs/platform/errors/codes/40165-channel-mode-not-requested-when-attaching.
        """
        attachment = self._channels.get(name).attachments.get(connection.id)
        if attachment is not None and mode not in attachment.modes:
            raise AblyError(
                ErrorCode.MODE_NOT_REQUESTED,
                f"Unable to {_NEEDING[mode]} as client did not request the {mode.name} mode when attaching",
            )

    def _require_pace(self, connection: Connection, messages: int) -> None:
        now = self._clock()
        if not connection.pace.messages_fatal.take(messages, now):
            error = AblyError(
                ErrorCode.CONNECTION_RATE_FATAL,
                "connection terminated; per-connection publish rate limit exceeded",
            )
            self._connections.fail(connection, error)
            raise error
        if not connection.pace.messages.take(messages, now):
            raise rate_exceeded(ErrorCode.CONNECTION_RATE, "connection.inboundRate")

    # ---- how it is answered, and what may go wrong on purpose ---------------------------------------------

    def _attach(self, connection: Connection, frame: Frame) -> None:
        attach = self._on_channel(self._attaching.attach)
        name = _channel_name(frame)
        fault = self._faults.take(Operation.ATTACH, name)
        if fault is None:
            attach(connection, frame)
        elif fault.kind is FaultKind.DELAY:
            _later(fault.seconds, connection, lambda: attach(connection, frame))
        elif fault.kind is FaultKind.DROP:
            _cut(connection)
        elif fault.kind is not FaultKind.HANG:
            self._attaching.fail(connection, name, fault.error())

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
        self, perform: Callable[[Connection, str, int, Frame], dict[str, object]], operation: Operation
    ) -> Callable[[Connection, Frame], None]:
        def answered(connection: Connection, frame: Frame) -> None:
            name, serial = _channel_name(frame), frame.get("msgSerial")
            if type(serial) is not int:
                raise AblyError(ErrorCode.BAD_REQUEST, "msgSerial must be a number")
            fault = self._faults.take(operation, name)
            if fault is None:
                answer(connection, name, serial, frame)
            elif fault.kind is FaultKind.DELAY:
                _later(fault.seconds, connection, lambda: answer(connection, name, serial, frame))
            elif fault.kind is FaultKind.DROP:
                _cut(connection)
            elif fault.kind is FaultKind.HANG:
                with contextlib.suppress(AblyError):
                    perform(connection, name, serial, frame)
            else:
                _nack(connection, serial, fault.error())

        def answer(connection: Connection, name: str, serial: int, frame: Frame) -> None:
            try:
                result = perform(connection, name, serial, frame)
            except AblyError as error:
                _nack(connection, serial, error)
            else:
                res = [{"serials": result["serials"]}]
                connection.send(action=Action.ACK, msgSerial=serial, count=1, res=res)

        return answered


def _channel_name(frame: Frame) -> str:
    name = frame.get("channel")
    if not isinstance(name, str):
        raise AblyError(ErrorCode.BAD_REQUEST, "channel must be text")
    return name


def _nack(connection: Connection, serial: int, error: AblyError) -> None:
    connection.send(action=Action.NACK, msgSerial=serial, count=1, error=error.wire())


def _later(seconds: float, connection: Connection, perform: Callable[[], None]) -> None:
    """Do something a while later, unless the websocket that it came by has gone."""
    outbox = connection.outbox

    def check() -> None:
        if connection.outbox is outbox:
            perform()

    asyncio.get_running_loop().call_later(seconds, check)


def _cut(connection: Connection) -> None:
    if connection.outbox is not None:
        connection.outbox.abort()
