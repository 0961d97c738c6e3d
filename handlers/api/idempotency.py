"""Idempotency-Key: a request that is sent again is carried out once, and answered again.

The header is the one of the IETF draft draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from handlers.http.routing import Answer
from rdchat.common.errors import invalid
from rdchat.common.ids import new_id
from rdchat.common.json import as_json
from rdchat.domain.idempotency import Answered, KeyedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from handlers.http.routing import Call

HEADER: Final = "Idempotency-Key"
_REPLAYED: Final = {"Idempotency-Replayed": "true"}
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def once(
    call: Call,
    perform: Callable[[UUID, bool], Awaitable[Answer]],
    present: Callable[[Any], Awaitable[Any]] | None = None,
) -> Answer:
    """Carry out a call, or answer what was answered when it was carried out.

    `perform` gets the operation's id and whether it may have been carried out before under this id: it then
    has to find its own effects. `present` makes of the data that was answered what is true of it now; without
    it, they are answered as they were.

    Raise RdchatError: IDEMPOTENCY_MISMATCH, IDEMPOTENCY_IN_FLIGHT, and what `perform` raises.
    """
    key = call.idempotency_key
    if key is None:
        return await perform(new_id(), False)
    if not _KEY.fullmatch(key):
        raise invalid(HEADER, "Must be 1 to 255 visible ASCII characters.")
    service = call.runtime.idempotency
    request = KeyedRequest(call.caller.id, key, _fingerprint(call))
    begun = await service.begin(request)
    if isinstance(begun, Answered):
        kept = orjson.loads(begun.answer)
        data = kept["data"] if present is None else await present(kept["data"])
        return Answer(data, kept["message"], begun.status, _REPLAYED)
    try:
        answer = await perform(begun.operation_id, begun.again)
    except BaseException as error:
        await service.note_failure(request, error)
        raise
    kept = as_json({"data": answer.data, "message": answer.message})
    await service.keep_answer(request, begun.operation_id, Answered(answer.status, kept))
    return answer


def _fingerprint(call: Call) -> bytes:
    told: dict[str, Any] = {"route": call.operation, "path": call.path, "body": call.body}
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS, default=_as_text)
    return hashlib.sha256(text).digest()


def _as_text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
