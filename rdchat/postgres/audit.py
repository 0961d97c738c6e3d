"""The audit: entries, written in the transaction of what they are about, and never changed.

A trigger puts each into a chain of hashes when its transaction ends (migration 0080). Each has a code that
only the service can make, over all of its columns; what is personal in it is encrypted before, so that the
code still holds when the key of the person is destroyed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.common.clock import to_us
from rdchat.common.ids import new_id
from rdchat.domain.audit import AuditRow
from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.audit import AuditEntry, AuditFilter
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_COLUMNS: Final = (
    "id, at, kind, action, outcome, actor_id, subject_id, session_id, occurrences, detail_owner, detail, mac"
)
_INPUT: Final = (
    "{0}::uuid[], {1}::timestamptz[], {2}::text[], {3}::text[], {4}::text[], {5}::uuid[], {6}::uuid[], "
    "{7}::uuid[], {8}::int[], {9}::uuid[], {10}::bytea[], {11}::bytea[]"
)
_INSERT: Final = f"INSERT INTO audit ({_COLUMNS}) SELECT * FROM unnest({_INPUT})".format(  # noqa: S608 - constant text
    *(f"${n}" for n in range(1, 13))
)

#: A part of the group commit: its text and how many parameters it has. Its rows name sessions.
COMMIT_PART: Final = (
    f"""
audited AS (
    INSERT INTO audit ({_COLUMNS})
    SELECT a.* FROM unnest({_INPUT}) AS a ({_COLUMNS})
    WHERE a.session_id IN (SELECT id FROM won)
)""",  # noqa: S608 - constant text
    12,
)

#: Statements are planned once: one that leaves a filter open must not look as if it had it.
_CONDITIONS: Final = {
    "before": "(at, id) < ({0}, {1}::uuid)",
    "kinds": "kind = ANY({0}::text[])",
    "person_id": "(actor_id = {0} OR subject_id = {0})",
    "session_id": "session_id = {0}",
    "since": "at >= {0}",
    "until": "at < {0}",
}


async def insert_entries(connection: Connection, entries: Sequence[AuditEntry], *, keys: DataKeys) -> None:
    """Write entries, within a transaction if there is one. Raise DataKeyError for a person's key."""
    if not entries:
        return
    owners = {one.detail_owner or one.actor_id for one in entries if one.detail is not None}
    encryptors = await keys.ensure(connection, [person_owner(one) for one in owners if one is not None])
    service = await keys.get_service_key(connection)
    await connection.execute(
        _INSERT, *zip(*(entry_row(one, service, encryptors) for one in entries), strict=True)
    )


def entry_row(
    entry: AuditEntry, service: Encryptor, encryptors: Mapping[UUID, Encryptor] | None = None
) -> tuple[Any, ...]:
    """Make the row of an entry, in the order of the columns. `encryptors` has those of owners of details."""
    entry_id = new_id()
    owner, detail = None, None
    if entry.detail is not None:
        owner = entry.detail_owner or entry.actor_id
        encryptor = service if owner is None else (encryptors or {})[owner]
        detail = encryptor.encrypt(orjson.dumps(dict(entry.detail)), _detail_context(entry_id))
    written = (
        entry_id,
        entry.at,
        entry.kind.value,
        entry.action,
        entry.outcome,
        entry.actor_id,
        entry.subject_id,
        entry.session_id,
        entry.occurrences,
        owner,
        detail,
    )
    return *written, service.mac(_bound(written))


def has_its_mac(row: asyncpg.Record | Mapping[str, Any], service: Encryptor) -> bool:
    """Tell whether a row is as it was written."""
    return service.has_mac(row["mac"], _bound(tuple(row[name] for name in _COLUMNS.split(", ")[:-1])))


def _bound(written: Sequence[Any]) -> bytes:
    entry_id, at, kind, action, outcome, actor, subject, session, occurrences, owner, detail = written
    digest = sha256(detail).hexdigest() if detail is not None else None
    return context(
        "audit",
        entry_id,
        to_us(at),
        kind,
        action,
        outcome,
        actor,
        subject,
        session,
        occurrences,
        owner,
        digest,
    )


def _detail_context(entry_id: UUID) -> bytes:
    return context("audit detail", entry_id)


async def list_entries(
    pool: Pool,
    wanted: AuditFilter,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    keys: DataKeys,
) -> list[AuditRow]:
    """List entries, latest first; `before` is the (instant, id) of the last one that was seen."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(*_listing(wanted, before, limit))
        details = await _details(connection, rows, keys)
    return [_audit_row(row, details.get(row["id"])) for row in rows]


def _listing(wanted: AuditFilter, before: tuple[datetime, UUID] | None, limit: int) -> tuple[Any, ...]:
    """Return a statement and its parameters."""
    conditions: list[str] = []
    parameters: list[Any] = []
    for name, condition in _CONDITIONS.items():
        values = before if name == "before" else (getattr(wanted, name),)
        if values is not None and values[0] is not None:
            places = [f"${len(parameters) + n}" for n in range(1, len(values) + 1)]
            conditions.append(condition.format(*places))
            parameters += values
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = f"SELECT {_COLUMNS} FROM audit{where} ORDER BY at DESC, id DESC LIMIT ${len(parameters) + 1}"  # noqa: S608 - constant text
    return statement, *parameters, limit


async def _details(
    connection: Connection, rows: Sequence[asyncpg.Record], keys: DataKeys
) -> dict[UUID, Mapping[str, str]]:
    sealed = [row for row in rows if row["detail"] is not None]
    if not sealed:
        return {}
    owners = {row["detail_owner"] for row in sealed} - {None}
    encryptors = await keys.find(connection, [person_owner(one) for one in owners])
    service = await keys.get_service_key(connection)
    found = {}
    for row in sealed:
        encryptor = service if row["detail_owner"] is None else encryptors.get(row["detail_owner"])
        # A key that is destroyed takes its details with it, and nothing is wrong.
        if encryptor is None:
            continue
        opened = keys.read(
            encryptor, row["detail"], _detail_context(row["id"]), what="audit", where=row["id"]
        )
        if opened is not None:
            found[row["id"]] = orjson.loads(opened)
    return found


def _audit_row(row: asyncpg.Record, detail: Mapping[str, str] | None) -> AuditRow:
    return AuditRow(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        action=row["action"],
        outcome=row["outcome"],
        actor_id=row["actor_id"],
        subject_id=row["subject_id"],
        session_id=row["session_id"],
        occurrences=row["occurrences"],
        detail=detail,
    )
