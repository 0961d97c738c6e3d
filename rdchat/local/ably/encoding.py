"""JSON and MessagePack, read strictly and written compactly.

Everything that `decode` accepts can be written again in either format. Otherwise one publisher's odd text
(half of a surrogate pair, an integer of a thousand digits) would fail much later, while being sent to others.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NoReturn, cast

import msgpack
import orjson

from .errors import AblyError, ErrorCode
from .protocol import Format, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_LEVELS_OF_A_FRAME = 10
_INT64 = range(-(2**63), 2**64)


def decode(data: bytes | str, fmt: Format) -> object:
    """Read one body or frame.

    Raise AblyError 40001 for anything that is not exactly one well-formed value of that format.
    """
    try:
        if fmt is Format.JSON:
            return _decode_json(data.encode() if isinstance(data, str) else data)
        if isinstance(data, str):
            raise _malformed(fmt)
        value: object = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise _malformed(fmt) from error
    return value


def encode(value: object, fmt: Format) -> bytes:
    """Write one body or frame; message data must have been through `wire_messages` for the same format."""
    if fmt is Format.JSON:
        return orjson.dumps(value)
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def require_writable(value: object) -> None:
    """Raise AblyError 40001 unless `value` can be written in both formats, within a frame."""
    # A frame adds levels of its own, and both writers end at some depth.
    nested: object = value
    for _ in range(_LEVELS_OF_A_FRAME):
        nested = [nested]
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        for fmt in Format:
            encode(nested, fmt)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AblyError(ErrorCode.INVALID_BODY, "not a JSON value") from error


def wire_messages(messages: Sequence[Message], fmt: Format) -> Sequence[Message]:
    """Prepare messages for `fmt`: in JSON, bytes become base64, noted at the end of `encoding`."""
    if fmt is Format.MSGPACK:
        return messages
    return [_with_text_data(message) for message in messages]


def _with_text_data(message: Message) -> Message:
    data = message.get("data")
    if not isinstance(data, bytes):
        return message
    encodings = [message["encoding"]] if message.get("encoding") else []
    text = cast("Message", dict(message))
    text["data"] = base64.b64encode(data).decode()
    text["encoding"] = "/".join([*encodings, "base64"])
    return text


def _decode_json(data: bytes) -> object:
    value: object = _STRICT_JSON.decode(data.decode())
    if _SURROGATE_ESCAPE.search(data):
        # Escapes may spell lone surrogates, which no UTF-8 can carry: encoding finds them.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _int64(digits: str) -> int:
    number = int(digits)
    if number not in _INT64:
        raise ValueError("integer does not fit 64 bits")
    return number


# Python's own: orjson would read integers beyond 64 bits as floats, and write what is no number as null.
_STRICT_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_int64)


def _malformed(fmt: Format) -> AblyError:
    return AblyError(ErrorCode.INVALID_BODY, f"not well-formed {fmt.value}")
