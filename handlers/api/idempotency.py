"""Idempotency-Key: a request that is sent again is carried out once and answered the same.

The header is the one of the IETF draft draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import orjson

from handlers.http.routing import Answer
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError, invalid
from rdchat.common.json import as_json
from rdchat.postgres import idempotency
from rdchat.postgres.idempotency import Answered, Begun, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from handlers.http.routing import Call

HEADER: Final = "Idempotency-Key"
_REPLAYED: Final = {"Idempotency-Replayed": "true"}
_NOTE_SECONDS: Final = 1.0
_NOTE_PAUSE_SECONDS: Final = 0.05
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def once(call: Call, perform: Callable[[UUID, bool], Awaitable[Answer]]) -> Answer:
    """Carry out a call, or answer what was answered when it was carried out.

    `perform` gets the operation's id and whether it may have been carried out before under this id: it then
    has to find its own effects.

    Raises RdchatError: IDEMPOTENCY_MISMATCH, IDEMPOTENCY_IN_FLIGHT, and what `perform` raises.
    """
    key = call.idempotency_key
    if key is None:
        return await perform(uuid4(), False)
    if not _KEY.fullmatch(key):
        raise invalid(HEADER, "Must be 1 to 255 visible ASCII characters.")
    runtime = call.runtime
    request = Request(call.caller.id, key, _fingerprint(call))
    begun = await idempotency.begin(
        runtime.pool, request, uuid4(), runtime.clock.now(), encryptor=runtime.encryptor
    )
    match begun:
        case Answered(status=status, answer=answer):
            kept = orjson.loads(answer)
            return Answer(kept["data"], kept["message"], status, _REPLAYED)
        case Begun(operation_id=operation_id, again=again):
            return await _carry_out(call, request, operation_id, lambda: perform(operation_id, again))
    if begun is idempotency.MISMATCH:
        raise RdchatError(ErrorCode.IDEMPOTENCY_MISMATCH)
    raise RdchatError(ErrorCode.IDEMPOTENCY_IN_FLIGHT, retry_after=1)


async def _carry_out(
    call: Call, request: Request, operation_id: UUID, perform: Callable[[], Awaitable[Answer]]
) -> Answer:
    runtime = call.runtime
    try:
        answer = await perform()
    except BaseException as error:
        if isinstance(error, RdchatError) and error.code is not ErrorCode.UNAVAILABLE:
            await _note(lambda: idempotency.drop(runtime.pool, request))
        else:
            await _note(lambda: idempotency.give_away(runtime.pool, request, runtime.clock.now()))
        raise
    kept = as_json({"data": answer.data, "message": answer.message})
    finish = partial(
        idempotency.finish,
        runtime.pool,
        request,
        operation_id,
        Answered(answer.status, kept),
        encryptor=runtime.encryptor,
    )
    # It was done, whether or not that can be noted: the operation's id tells it the next time.
    if not await _note(finish):
        runtime.late_writes.add(finish, idempotency.KEPT)
    return answer


async def _note(write: Callable[[], Awaitable[None]]) -> bool:
    """Write what became of a request, on another connection if the first was just lost; say whether it was.

    Without it, whoever sends the request again is told for a while that it is still being worked on.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_NOTE_SECONDS):
            while True:
                with contextlib.suppress(UnavailableError):
                    await write()
                    return True
                await asyncio.sleep(_NOTE_PAUSE_SECONDS)
    return False


def _fingerprint(call: Call) -> bytes:
    told: dict[str, Any] = {"route": call.operation, "path": call.path, "body": call.body}
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS, default=_as_text)
    return hashlib.sha256(text).digest()


def _as_text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
