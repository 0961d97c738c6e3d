"""The AsyncAPI 3.0 document: what clients receive on Ably channels, and the one thing that they send.

It is written from the client's point of view, as clients are made from it. Payloads are described by the
schemas of `handlers.schemas.realtime`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from handlers.openapi.schema_reader import Node, Reader
from handlers.schemas import parts, realtime
from rdchat.events import channels
from statemachine import EndReason

if TYPE_CHECKING:
    from marshmallow import Schema

_ABOUT: Final = (
    "What happens in a chat session, as it happens. Clients listen with Ably's SDKs; "
    "`GET /api/v1/chat/ably-token` of the HTTP API gives a token for exactly these channels, of one session, "
    "also while it is pending, or of all that one has now.\n\n"
    "Order messages by `seq`, which has no gaps: where one is missing, ask `GET /api/v1/chat/history` with "
    "`after`. Drop a message whose `id` has been shown."
)
_ABOUT_CHAT: Final = (
    "Messages and status of a session. Only the server publishes; participants may be present.\n\n"
    "Where the service encrypts what is said, the answer with the token has a `cipherKey` for the SDK, and "
    "its `channelName` ends in `:sealed`; each payload there also has a `proof`, which `proofKey` verifies."
)
_CHAT: Final = "chat"
_TYPING: Final = "typing"
_NOTIFICATIONS: Final = "notifications"
_SESSION: Final = {"description": "The session's id.", "examples": [parts.SESSION_ID]}
_PERSON: Final = {
    "description": "The listener's own id: the `sub` of their tokens.",
    "examples": [parts.CLIENT_ID],
}

#: Name, address, parameter and its description, what it is for, who publishes.
_CHANNELS: Final[tuple[tuple[str, str, str, Node, str], ...]] = (
    (
        _CHAT,
        "chat:session:{sessionId}",
        "sessionId",
        _SESSION,
        _ABOUT_CHAT,
    ),
    (
        _TYPING,
        "typing:session:{sessionId}",
        "sessionId",
        _SESSION,
        "Who is typing. Participants publish while it is open, or the server for `POST /api/v1/chat/typing`.",
    ),
    (
        _NOTIFICATIONS,
        "notifications:user:{userId}",
        "userId",
        _PERSON,
        "What one person should know, wherever they are in the product. Only the server publishes.",
    ),
)

_Variants = dict[str, Node]
_AUTOMATED: Final = {
    "senderId": parts.PSYCHOLOGIST_ID,
    "senderName": parts.SARI["fullName"],
    "content": "Sesi konseling dimulai! Silakan ceritakan apa yang ingin Anda bagikan hari ini. "
    "Saya siap mendengarkan 🤗",
    "messageType": "automated",
    "isAutomated": True,
    "seq": 2,
    "createdAt": parts.OPENED_AT,
}
_ENDED: Final = {"at": parts.END}
#: Channel, event, schema, and what its examples are: each by what differs from the schema's own example.
#: What is None there is left out.
MESSAGES: Final[tuple[tuple[str, str, type[Schema], _Variants], ...]] = (
    (
        _CHAT,
        channels.MESSAGE,
        realtime.MessageEvent,
        {
            "text": {"attachment": None},
            "automated": {**_AUTOMATED, "attachment": None, "clientMessageId": None},
        },
    ),
    (
        _CHAT,
        channels.SESSION_STATUS,
        realtime.SessionStatusEvent,
        {
            "chat_enabled": {"status": "chat_enabled", "minutesLeft": None, "endReason": None},
            "ending_soon": {"status": "ending_soon", "at": "2030-01-15T07:55:00.009Z", "endReason": None},
            "completed": {"status": "completed", "minutesLeft": None, **_ENDED},
            "cancelled": {
                "status": "cancelled",
                "minutesLeft": None,
                "endReason": EndReason.CLIENT_CANCELLED.value,
                **_ENDED,
            },
            "rescheduled": {
                "status": "rescheduled",
                "minutesLeft": None,
                "endReason": None,
                "at": "2030-01-14T02:11:09.301Z",
            },
        },
    ),
    (_CHAT, "message-read", realtime.MessageReadEvent, {"read": {}}),
    (_TYPING, channels.TYPING, realtime.TypingEvent, {"starts": {}, "stops": {"isTyping": False}}),
    (_NOTIFICATIONS, channels.NOTIFICATION, realtime.NotificationEvent, {"opened": {}}),
)


def document(*, version: str) -> Node:
    """Describe the events."""
    schemas = _schemas()
    reader = Reader({"components": {"schemas": schemas}})
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "rdchat realtime events", "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"ably": _server()},
        "channels": {channel[0]: _channel(*channel) for channel in _CHANNELS},
        "operations": dict(_operations()),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The token that `GET /api/v1/chat/ably-token` gives.",
                }
            },
            "messages": {
                event: _message(event, schema, variants, reader) for _, event, schema, variants in MESSAGES
            },
            "schemas": schemas,
        },
    }


def _server() -> Node:
    return {
        "host": "main.realtime.ably.net",
        "protocol": "ably",
        "protocolVersion": "2",
        "description": "Ably, or its stand-in: `clientOptions` beside the token say where to connect.",
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


def _channel(name: str, address: str, parameter: str, about: Node, description: str) -> Node:
    carried = [event for channel, event, _, _ in MESSAGES if channel == name]
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": "#/servers/ably"}],
        "parameters": {parameter: about},
        "messages": {event: {"$ref": f"#/components/messages/{event}"} for event in carried},
    }


def _operations() -> Any:  # noqa: ANN401 - pairs of a name and JSON
    for channel, event, schema, _ in MESSAGES:
        yield _operation("receive", channel, event, inspect.getdoc(schema) or "")
        if channel == _TYPING:
            yield _operation("send", channel, event, "Say that one is typing, or no longer.")


def _operation(action: str, channel: str, event: str, summary: str) -> tuple[str, Node]:
    name = action + event.title().replace("-", "")
    return name, {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{event}"}],
    }


def _message(event: str, schema: type[Schema], variants: _Variants, reader: Reader) -> Node:
    reference = {"$ref": f"#/components/schemas/{schema.__name__}"}
    shown = reader.example(reference)
    base = shown if isinstance(shown, dict) else {}
    return {
        "name": event,
        "title": event,
        "summary": inspect.getdoc(schema),
        "contentType": "application/json",
        "payload": reference,
        "examples": [
            {
                "name": name,
                "payload": {
                    key: one for key, one in (base | changes).items() if changes.get(key, "") is not None
                },
            }
            for name, changes in variants.items()
        ],
    }


def _schemas() -> Node:
    """Make JSON Schema of the payloads, by the same means as the OpenAPI document's."""
    plugin = MarshmallowPlugin()
    spec = APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
    for _, _, schema, _ in MESSAGES:
        spec.components.schema(schema.__name__, schema=schema)
    made: Node = spec.to_dict()["components"]["schemas"]
    for key, name in plugin.converter.refs.items():
        made[name] = {"description": inspect.getdoc(key[0]), **made[name]}
        for field in made[name]["properties"].values():
            if "example" in field:
                # OpenAPI's own word; JSON Schema knows only the plural.
                field["examples"] = [field.pop("example")]
    return made
