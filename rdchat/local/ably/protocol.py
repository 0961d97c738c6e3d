"""The vocabulary of Ably's realtime protocol: actions, flags and the two encodings."""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag
from typing import TypedDict


class Format(Enum):
    """How frames and bodies are encoded; the value is what clients send as `format`."""

    JSON = "json"
    MSGPACK = "msgpack"


class Action(IntEnum):
    """What a protocol message asks for or reports."""

    HEARTBEAT = 0
    ACK = 1
    NACK = 2
    CONNECTED = 4
    DISCONNECT = 5
    DISCONNECTED = 6
    CLOSE = 7
    CLOSED = 8
    ERROR = 9
    ATTACH = 10
    ATTACHED = 11
    DETACH = 12
    DETACHED = 13
    PRESENCE = 14
    MESSAGE = 15
    SYNC = 16
    AUTH = 17
    OBJECT = 19
    OBJECT_SYNC = 20
    ANNOTATION = 21


class MessageAction(IntEnum):
    """What a message does: it is new, or concerns one that there is."""

    CREATE = 0
    UPDATE = 1
    DELETE = 2
    META = 3
    SUMMARY = 4
    APPEND = 5


class PresenceAction(IntEnum):
    """What happened to a member of a presence set."""

    ABSENT = 0
    PRESENT = 1
    ENTER = 2
    LEAVE = 3
    UPDATE = 4


class Flag(IntFlag):
    """Flags of ATTACH and ATTACHED; from the 17th bit on they are channel modes."""

    HAS_PRESENCE = 1 << 0
    HAS_BACKLOG = 1 << 1
    RESUMED = 1 << 2
    ATTACH_RESUME = 1 << 5
    PRESENCE = 1 << 16
    PUBLISH = 1 << 17
    SUBSCRIBE = 1 << 18
    PRESENCE_SUBSCRIBE = 1 << 19
    ANNOTATION_PUBLISH = 1 << 21
    ANNOTATION_SUBSCRIBE = 1 << 22
    OBJECT_SUBSCRIBE = 1 << 24
    OBJECT_PUBLISH = 1 << 25


NO_FLAGS = Flag(0)
#: The channel modes that there are for those who ask for none; and those that no one is granted here.
MODES = Flag.PRESENCE | Flag.PUBLISH | Flag.SUBSCRIBE | Flag.PRESENCE_SUBSCRIBE
ANNOTATION_MODES = Flag.ANNOTATION_PUBLISH | Flag.ANNOTATION_SUBSCRIBE
UNSUPPORTED_MODES = ANNOTATION_MODES | Flag.OBJECT_SUBSCRIBE | Flag.OBJECT_PUBLISH


class Message(TypedDict, total=False):
    """A message or presence message as it travels: `data` is text or bytes, `timestamp` is milliseconds.

    `action` is always present on presence messages (`PresenceAction`) and 0, "create", on accepted messages.
    """

    id: str
    name: str
    data: str | bytes
    encoding: str
    clientId: str
    connectionId: str
    extras: dict[str, object]
    timestamp: int
    serial: str
    action: int
