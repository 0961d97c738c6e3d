"""Requests that carry a key of their sender's, so that sending one again does nothing again.

A request is noted before it is carried out, and its answer after. Between the two a process may die; one
that gets the request again then takes it over under the same operation id, by which its effects are
recognised.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rdchat.domain.idempotency import Answered, Begun
from rdchat.postgres.data_keys import DataKeyError, person_owner
from rdchat.postgres.pool import acquire, rows_changed
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.idempotency import KeyedRequest
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool

#: No one waits longer for an answer; what is older was left behind by a process that is gone.
_UNDER_WAY: Final = timedelta(seconds=20)
#: How long an answer is kept.
KEPT: Final = timedelta(hours=24)

_BEGIN = """
INSERT INTO idempotency (person_id, key, fingerprint, operation_id, started_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (person_id, key) DO NOTHING
"""

_FOUND = "SELECT * FROM idempotency WHERE person_id = $1 AND key = $2"

_TAKE_OVER = """
UPDATE idempotency SET started_at = $4
 WHERE person_id = $1 AND key = $2 AND status IS NULL AND started_at = $3
"""

# Told late, it may find the key used for something else.
_FINISH = """
UPDATE idempotency SET status = $4, answer = $5
 WHERE person_id = $1 AND key = $2 AND operation_id = $3 AND status IS NULL
"""

_DROP = "DELETE FROM idempotency WHERE person_id = $1 AND key = $2 AND status IS NULL"

_GIVE_AWAY = "UPDATE idempotency SET started_at = $3 WHERE person_id = $1 AND key = $2 AND status IS NULL"

_ANSWERED = "SELECT * FROM idempotency WHERE person_id = ANY($1) AND answer IS NOT NULL"

_FORGET_ONE = "DELETE FROM idempotency WHERE person_id = $1 AND key = $2"

_FORGET = "DELETE FROM idempotency WHERE started_at < $1"


class Refused:
    """It cannot be carried out: `MISMATCH`, or `IN_FLIGHT`."""


MISMATCH: Final = Refused()
IN_FLIGHT: Final = Refused()


async def begin(
    pool: Pool, request: KeyedRequest, operation_id: UUID, at: datetime, *, keys: DataKeys
) -> Begun | Answered | Refused:
    """Note a request, or find what became of it."""
    whose = request.person_id, request.key
    async with acquire(pool) as connection:
        # Twice at most: what was in the way of the first attempt may have been dropped meanwhile.
        for _ in range(2):
            tag = await connection.execute(_BEGIN, *whose, request.fingerprint, operation_id, at)
            if rows_changed(tag) == 1:
                return Begun(operation_id, again=False)
            found = await connection.fetchrow(_FOUND, *whose)
            if found is not None:
                break
        else:
            return IN_FLIGHT
        if found["fingerprint"] != request.fingerprint:
            return MISMATCH
        if found["status"] is not None:
            return await _answered(connection, found, keys)
        if found["started_at"] > at - _UNDER_WAY:
            return IN_FLIGHT
        taken = await connection.execute(_TAKE_OVER, *whose, found["started_at"], at)
        return Begun(found["operation_id"], again=True) if rows_changed(taken) == 1 else IN_FLIGHT


async def _answered(connection: Connection, found: asyncpg.Record, keys: DataKeys) -> Answered | Refused:
    """Read the answer that was kept. One that is not as it was written is none, and nothing is done again."""
    person_id = found["person_id"]
    bound_to = _context(person_id, found["key"], found["operation_id"], found["status"])
    encryptor = (await keys.find(connection, [person_owner(person_id)])).get(person_id)
    answer = keys.read(encryptor, found["answer"], bound_to, what="answer", where=person_id)
    return Answered(found["status"], answer) if answer is not None else IN_FLIGHT


async def finish(
    pool: Pool, request: KeyedRequest, operation_id: UUID, answered: Answered, *, keys: DataKeys
) -> None:
    """Keep the answer to an operation for a repeated request.

    Where the person's key does not open, a repeated request finds again what this one has done.
    """
    bound_to = _context(request.person_id, request.key, operation_id, answered.status)
    async with acquire(pool) as connection:
        try:
            encryptor = await keys.get_or_create(connection, person_owner(request.person_id))
        except DataKeyError:
            return
        encrypted = encryptor.encrypt(answered.answer, bound_to)
        await connection.execute(
            _FINISH, request.person_id, request.key, operation_id, answered.status, encrypted
        )


async def drop(pool: Pool, request: KeyedRequest) -> None:
    """Forget a request that was refused: it may be sent again when things have changed."""
    async with acquire(pool) as connection:
        await connection.execute(_DROP, request.person_id, request.key)


async def give_away(pool: Pool, request: KeyedRequest, at: datetime) -> None:
    """Let the request be taken over at once when it comes again: its outcome here is unknown."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_AWAY, request.person_id, request.key, at - _UNDER_WAY)


async def forget(pool: Pool, before: datetime) -> int:
    """Delete what is older than an instant. Return how many."""
    async with acquire(pool) as connection:
        return rows_changed(await connection.execute(_FORGET, before))


async def delete_mentioning(
    connection: Connection, person_ids: Sequence[UUID], mentions: Sequence[bytes], *, keys: DataKeys
) -> int:
    """Delete answers to people that mention one of some ids, within a transaction. Return how many.

    A request that is sent again within the day is then carried out once more.
    """
    rows = await connection.fetch(_ANSWERED, person_ids)
    owners = {person_owner(row["person_id"]) for row in rows}
    encryptors = await keys.find(connection, owners)
    deleted = 0
    for row in rows:
        bound_to = _context(row["person_id"], row["key"], row["operation_id"], row["status"])
        encryptor = encryptors.get(row["person_id"])
        answer = keys.read(encryptor, row["answer"], bound_to, what="answer", where=row["person_id"])
        if answer is None or any(one in answer for one in mentions):
            await connection.execute(_FORGET_ONE, row["person_id"], row["key"])
            deleted += 1
    return deleted


def _context(person_id: UUID, key: str, operation_id: UUID, status: int) -> bytes:
    return context("answer", person_id, key, operation_id, status)
