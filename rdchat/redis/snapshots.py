"""Snapshots of live sessions: what an actor is hydrated from without asking PostgreSQL.

A snapshot may be stale (another replica has gone on) or gone (Redis is only a cache). Both are safe: a commit
on a stale version is refused by its fence, and no refusal is ever based on a snapshot alone. One that was not
written by the service is none: each begins with a code that only the service can make.

Names are in it as they are in PostgreSQL: sealed with their person's key, which is not in Redis.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import fields
from datetime import datetime
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
import structlog

from rdchat.common.ids import read_id
from rdchat.redis.connection import LOST
from statemachine import (
    Automation,
    AutomationKind,
    AutomationStatus,
    EndReason,
    Session,
    SessionOutcome,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from rdchat.redis.connection import RedisClient

    #: A session, and what the names of its two are sealed in.
    _Sealed = tuple[Session, tuple[UUID, bytes], tuple[UUID, bytes]]

log = structlog.get_logger(__name__)

#: A snapshot that was not refreshed for this long is not worth its memory.
_LIFETIME_MS: Final = 3_600_000
#: A slower cache is useless; it is then left alone for a while, and PostgreSQL is asked instead.
_WORTH_SECONDS: Final = 0.25
_AVOID_SECONDS: Final = 2.0


#: The length of the code that a snapshot begins with.
_MAC_BYTES: Final = 16


#: Before a name, which a snapshot of an earlier release has as it is.
_SEALED: Final = "sealed:"


class Authenticator(Protocol):
    """Makes codes of 16 bytes that no one else can make."""

    def mac(self, context: bytes) -> bytes:
        """Return the code of some bytes."""
        ...


class SealedNames(Protocol):
    """Knows people's names, and what they are sealed in."""

    def find_sealed(self, person_id: UUID, name: str) -> bytes | None:
        """Return what a name of a person is sealed in; None if that is not known."""
        ...

    async def open(self, stored: Iterable[tuple[UUID, bytes]]) -> dict[UUID, str]:
        """Return the names of people, given what each is sealed in; those that do not open are left out."""
        ...


class Snapshots:
    """Sessions in Redis, one key each: `rdchat:session:{id}`, a code and JSON.

    `alarm` is told of one that was not written by the service: what it is, and of which session.
    """

    def __init__(
        self,
        store: RedisClient,
        authenticator: Authenticator,
        names: SealedNames,
        *,
        alarm: Callable[[str, UUID], None],
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._names = names
        self._alarm = alarm
        self._avoided_until = 0.0

    async def load(self, session_ids: Sequence[UUID]) -> dict[UUID, Session]:
        """Return the snapshots found; none when Redis is away, or slower than PostgreSQL would be."""
        now = asyncio.get_running_loop().time
        if now() < self._avoided_until:
            return {}
        try:
            async with asyncio.timeout(_WORTH_SECONDS):
                values = await self._store.get([_key(session_id) for session_id in session_ids])
        except LOST as error:
            self._avoided_until = now() + _AVOID_SECONDS
            log.debug("snapshots are away", error=str(error))
            return {}
        return await self.decode(
            {one: value for one, value in zip(session_ids, values, strict=True) if value is not None}
        )

    async def save(self, sessions: Iterable[Session]) -> None:
        """Write snapshots; those of sessions that are over expire like the others. Loss is harmless."""
        encoded = [(session.id, self.encode(session)) for session in sessions]
        await self._try(
            [
                ("SET", _key(session_id), value, "PX", _LIFETIME_MS)
                for session_id, value in encoded
                if value is not None
            ]
        )

    async def withdraw(self, session_ids: Iterable[UUID]) -> None:
        """Remove outdated snapshots. Loss is harmless."""
        await self._try([("DEL", _key(session_id)) for session_id in session_ids])

    def encode(self, session: Session) -> bytes | None:
        """Return the snapshot of a session; None where it is not known what its names are sealed in."""
        client = self._names.find_sealed(session.client_id, session.client_name)
        psychologist = self._names.find_sealed(session.psychologist_id, session.psychologist_name)
        if client is None or psychologist is None:
            return None
        stored = session.draft()
        stored.client_name, stored.psychologist_name = _as_text(client), _as_text(psychologist)
        # `default` serves the ids: asyncpg has a UUID class of its own.
        content = orjson.dumps(stored, option=orjson.OPT_NON_STR_KEYS, default=str)
        return self._authenticator.mac(_bound(session.id, content)) + content

    async def decode(self, values: Mapping[UUID, bytes]) -> dict[UUID, Session]:
        """Return the sessions in snapshots, but for those of another release, or that were forged.

        Raise UnavailableError where keys are missing here, and PostgreSQL is away.
        """
        decoded = {session_id: self._decode(session_id, value) for session_id, value in values.items()}
        sealed = {session_id: one for session_id, one in decoded.items() if one is not None}
        names = await self._names.open(pair for _, *both in sealed.values() for pair in both)
        found = {}
        for session_id, (session, *_) in sealed.items():
            # PostgreSQL knows what to show of a person who was erased meanwhile.
            if session.client_id in names and session.psychologist_id in names:
                session.client_name = names[session.client_id]
                session.psychologist_name = names[session.psychologist_id]
                found[session_id] = session
        return found

    def _decode(self, session_id: UUID, value: bytes) -> _Sealed | None:
        mac, content = value[:_MAC_BYTES], value[_MAC_BYTES:]
        if not compare_digest(mac, self._authenticator.mac(_bound(session_id, content))):
            self._alarm("snapshot", session_id)
            return None
        try:
            session = _session(orjson.loads(content))
            client = session.client_id, _from_text(session.client_name)
            psychologist = session.psychologist_id, _from_text(session.psychologist_name)
        except (ValueError, KeyError, TypeError) as error:
            # PostgreSQL knows better.
            log.warning("a snapshot cannot be read", error=repr(error))
            return None
        return session, client, psychologist

    async def _try(self, commands: list[tuple[Any, ...]]) -> None:
        answers = await self._store.many(commands)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if errors:
            log.debug("snapshots are away", error=str(errors[0]), snapshots=len(errors))


def _as_text(sealed: bytes) -> str:
    return _SEALED + base64.b64encode(sealed).decode()


def _from_text(stored: str) -> bytes:
    if not stored.startswith(_SEALED):
        raise ValueError("a name that is not sealed")
    return base64.b64decode(stored.removeprefix(_SEALED), validate=True)


def _bound(session_id: UUID, content: bytes) -> bytes:
    return b"".join((b"snapshot\0", session_id.bytes, content))


def _key(session_id: UUID) -> str:
    return f"rdchat:session:{{{session_id.hex}}}"


_INSTANTS: Final = ("starts_at", "ends_at", "created_at", "updated_at", "started_at", "ended_at")
#: One that lacks a field would otherwise be read with its default.
_FIELDS: Final = frozenset(one.name for one in fields(Session))
_IDS: Final = ("id", "counseling_id", "client_id", "psychologist_id")


def _session(raw: dict[str, Any]) -> Session:
    if raw.keys() != _FIELDS:
        raise KeyError(*sorted(raw.keys() ^ _FIELDS))
    for name in _IDS:
        raw[name] = read_id(raw[name])
    raw["organization_id"] = read_id(raw["organization_id"]) if raw["organization_id"] else None
    for name in _INSTANTS:
        raw[name] = _instant(raw[name])
    raw["status"] = Status(raw["status"])
    raw["end_reason"] = EndReason(raw["end_reason"]) if raw["end_reason"] else None
    raw["outcome"] = SessionOutcome(raw["outcome"]) if raw["outcome"] else None
    raw["automations"] = {
        AutomationKind(kind): Automation(
            AutomationKind(kind),
            datetime.fromisoformat(one["due_at"]),
            AutomationStatus(one["status"]),
            _instant(one["executed_at"]),
            one["lateness_ms"],
            one["reason"],
        )
        for kind, one in raw["automations"].items()
    }
    return Session(**raw)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
