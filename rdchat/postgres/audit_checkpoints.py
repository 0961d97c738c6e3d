"""Checkpoints of the audit: the ends of its chains, signed, to be kept outside of the database.

Hashes are no secret: who may write to the database can take rows out of a chain and compute all that follows
again. A checkpoint they could only make with the service's key, and never take back where it was kept
elsewhere meanwhile.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.common.clock import iso
from rdchat.postgres.pool import transaction
from rdchat.security.signing import Signer, verify

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from rdchat.postgres.pool import Pool
    from rdchat.security.encryption import Encryptor

#: Replicas that would make one at the same instant: one of them does.
_LOCK: Final = 0x72_64_63_61

_LAST = "SELECT n, at, line FROM audit_checkpoints ORDER BY n DESC LIMIT 1"
_INSERT = "INSERT INTO audit_checkpoints (n, at, line) VALUES ($1, $2, $3)"


class CheckpointError(Exception):
    """A line is no checkpoint of this service; its text says why."""


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """How far a chain was, and the hash of its last link."""

    chain: int
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The `n`-th checkpoint. `previous` and `digest` are SHA-256, of the line before and of its own."""

    n: int
    at: str
    ends: tuple[ChainEnd, ...]
    previous: str | None
    digest: str

    @classmethod
    def read(cls, line: str, public_key: bytes) -> Checkpoint:
        """Read a line. Raise CheckpointError."""
        try:
            said = orjson.loads(line)
            if orjson.dumps(said).decode() != line:
                raise CheckpointError("was altered")
            signature = base64.b64decode(said.pop("signature"), validate=True)
            one = cls(
                n=said["n"],
                at=said["at"],
                ends=tuple(ChainEnd(end[0], end[1], bytes.fromhex(end[2])) for end in said["ends"]),
                previous=said["previous"],
                digest=_digest(line),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError("cannot be read") from error
        if not verify(public_key, _signed(said), signature):
            raise CheckpointError("was altered, or signed with another key")
        return one


def audit_signer(service: Encryptor) -> Signer:
    """Return what signs checkpoints and receipts: the same for all replicas, also when the ring changes."""
    return Signer(service.derive("audit signatures"))


async def make_checkpoint(
    pool: Pool, signer: Signer, *, now: datetime, unless_within: timedelta
) -> str | None:
    """Make the next checkpoint, and return its line.

    None where nothing was written since the last one, another replica is just making one, or the last one is
    younger than `unless_within`. Raise UnavailableError.
    """
    async with transaction(pool) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return None
        last = await connection.fetchrow(_LAST)
        if last is not None and now - last["at"] < unless_within:
            return None
        ends = [
            [row["chain"], row["last_seq"], row["hash"].hex()]
            for row in await connection.fetch("SELECT * FROM audit_chains ORDER BY chain")
        ]
        if last is not None and orjson.loads(last["line"])["ends"] == ends:
            return None
        line = write_checkpoint(
            signer,
            n=1 if last is None else last["n"] + 1,
            at=now,
            ends=ends,
            previous=None if last is None else _digest(last["line"]),
        )
        n = 1 if last is None else last["n"] + 1
        await connection.execute(
            "INSERT INTO audit_checkpoints (n, at, line) VALUES ($1, $2, $3)", n, now, line
        )
    return line


def write_checkpoint(signer: Signer, *, n: int, at: datetime, ends: list[Any], previous: str | None) -> str:
    """Write a checkpoint as one line of JSON; `ends`: (chain, seq, hash in hexadecimal)."""
    said = {"n": n, "at": iso(at), "ends": ends, "previous": previous, "keyId": signer.key_id}
    signature = base64.b64encode(signer.sign(_signed(said))).decode()
    return orjson.dumps(said | {"signature": signature}).decode()


async def list_checkpoints(pool: Pool, *, after: int, limit: int = 1_000) -> list[tuple[int, str]]:
    """List checkpoints behind the `after`-th: (n, line). Raise UnavailableError."""
    async with transaction(pool) as connection:
        rows = await connection.fetch(
            "SELECT n, line FROM audit_checkpoints WHERE n > $1 ORDER BY n LIMIT $2", after, limit
        )
    return [(row["n"], row["line"]) for row in rows]


def _signed(said: dict[str, Any]) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _digest(line: str) -> str:
    return sha256(line.encode()).hexdigest()
