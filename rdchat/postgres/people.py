"""People: a row per person the service has seen. It is no identity provider; tokens say who they are.

Longer than most: what is told of a person is compared, sealed and written in the fewest statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.common.clock import from_ms
from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain.permissions import CLIENTS
from rdchat.domain.person import Psychologist, Recipient, Role
from rdchat.postgres.data_keys import keys_of, person_owner
from rdchat.postgres.names import names_in, open_email, open_name, seal_email, seal_name, shown_name
from rdchat.postgres.pool import acquire
from rdchat.postgres.working_time import working_time_from_row
from rdchat.texts.wording import ERASED_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.availability import WorkingTime
    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

#: The time zone of a psychologist of whom no other is said.
_USUAL_ZONE: Final = "Asia/Jakarta"
_NAME_COLUMNS: Final = (("id", "sealed_name"),)

_SEE = """
WITH before AS (SELECT sealed_name FROM people WHERE id = $1)
INSERT INTO people (id, role, sealed_name, sealed_email, organization_id, locale, token_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO UPDATE
   SET (role, sealed_name, organization_id, sealed_email, locale) =
       -- Psychologists are named by an administrator, not by whatever token they book with. Nor does an older
       -- token take back what a later one has said, above all of the role.
       (SELECT CASE WHEN b.stays THEN people.role ELSE excluded.role END,
               CASE WHEN b.stays THEN people.sealed_name ELSE excluded.sealed_name END,
               CASE WHEN b.stays THEN people.organization_id
                    ELSE coalesce(excluded.organization_id, people.organization_id) END,
               CASE WHEN b.is_old THEN people.sealed_email
                    ELSE coalesce(excluded.sealed_email, people.sealed_email) END,
               CASE WHEN b.is_old THEN people.locale ELSE coalesce(excluded.locale, people.locale) END
          FROM (SELECT people.token_at > excluded.token_at AS is_old,
                       people.token_at > excluded.token_at OR EXISTS (SELECT FROM psychologists WHERE id = $1)
                       AS stays) b),
       token_at = greatest(people.token_at, excluded.token_at), seen_at = excluded.seen_at
RETURNING EXISTS (SELECT FROM before b WHERE b.sealed_name IS DISTINCT FROM people.sealed_name) AS is_renamed
"""

# Who is new gets their key and their row here: no row without the key that seals its name. Where another
# replica has just made a key for them, that one counts, and no row is written here. Of all others, what is
# there is returned, with their keys.
_COMPARE = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::uuid[], $6::text[],
                         $7::timestamptz[], $8::bytea[])
        AS t (id, role, sealed_name, sealed_email, organization_id, locale, token_at, wrapped)
),
made AS (
    INSERT INTO data_keys (owner, kid, wrapped)
    SELECT t.id, $9, t.wrapped FROM told t
     WHERE t.wrapped IS NOT NULL AND NOT EXISTS (SELECT FROM people p WHERE p.id = t.id)
     ORDER BY t.id
    ON CONFLICT (owner) DO NOTHING RETURNING owner
),
new AS (
    INSERT INTO people (id, role, sealed_name, sealed_email, organization_id, locale, token_at, seen_at)
    SELECT t.id, t.role, t.sealed_name, t.sealed_email, t.organization_id, t.locale, t.token_at, $10
      FROM told t JOIN made m ON m.owner = t.id ORDER BY t.id
    ON CONFLICT (id) DO NOTHING RETURNING id
)
SELECT t.id AS owner, p.id IS NOT NULL AS is_there, EXISTS (SELECT FROM new n WHERE n.id = t.id) AS is_new,
       p.role, p.sealed_name, p.sealed_email, p.organization_id, p.locale,
       EXISTS (SELECT FROM psychologists s WHERE s.id = t.id) AS is_psychologist,
       k.kid, k.wrapped, true AS lasts, NULL::uuid AS client_id, NULL::uuid AS psychologist_id,
       EXISTS (SELECT FROM encryption_keys e WHERE e.kid = k.kid) AS kid_is_known
  FROM told t LEFT JOIN people p ON p.id = t.id LEFT JOIN data_keys k ON k.owner = t.id
"""

# Every process that holds one of these sessions in memory loses its next commit to the fence and reads the
# session again, with the name. Rows are locked in the order of the group commit.
_RENEW_SESSIONS = """
WITH locked AS (
    SELECT id FROM chat_sessions WHERE (client_id = $1 OR psychologist_id = $1) AND ended_at IS NULL
    ORDER BY id FOR UPDATE
)
UPDATE chat_sessions s SET version = s.version + 1, state_version = s.version + 1
  FROM locked l WHERE s.id = l.id
"""

_INTRODUCE = """
INSERT INTO people (id, role, sealed_name, seen_at) VALUES ($1, 'psychologist', $2, $3)
ON CONFLICT (id) DO NOTHING
"""

_MAKE_PSYCHOLOGIST = "UPDATE people SET role = 'psychologist' WHERE id = $1"

_LOCKED_PERSON = "SELECT role, sealed_name FROM people WHERE id = $1 FOR NO KEY UPDATE"

_LOCKED_PSYCHOLOGIST = "SELECT * FROM psychologists WHERE id = $1 FOR NO KEY UPDATE"

_PUT = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE
   SET timezone = excluded.timezone, is_active = excluded.is_active, updated_at = excluded.updated_at
"""

_RECIPIENTS = "SELECT id, sealed_name, sealed_email, locale FROM people WHERE id = ANY($1)"

_NAMES = "SELECT id, sealed_name FROM people WHERE id = ANY($1)"

_PSYCHOLOGIST = """
SELECT s.id, p.sealed_name, s.timezone, s.is_active, s.created_at, s.updated_at
  FROM psychologists s JOIN people p USING (id)
"""

_ALL = _PSYCHOLOGIST + "WHERE s.is_active OR $1"


async def upsert_person(connection: Connection, caller: Caller, at: datetime) -> None:
    """Keep what a caller's token says of them, within a transaction. Raise DataKeyError."""
    encryptor = await keys_of(connection).get_or_create(connection, person_owner(caller.id))
    row = await connection.fetchrow(_SEE, *_facts(caller, encryptor), at)
    if row is not None and row["is_renamed"]:
        await connection.execute(_RENEW_SESSIONS, caller.id)


async def insert_new(pool: Pool, callers: Sequence[Caller], at: datetime) -> set[UUID]:
    """Keep those who were never seen. Return the others of whom their token says something new.

    One of them may be new as well, if their key was there already.
    """
    async with acquire(pool) as connection:
        keys = keys_of(connection)
        proposed: dict[UUID, Encryptor] = {}
        told = {}
        for caller in callers:
            encryptor, wrapped = keys.at_hand(person_owner(caller.id)), None
            if encryptor is None:
                wrapped, encryptor = keys.propose(caller.id)
                proposed[caller.id] = encryptor
            told[caller.id] = (*_facts(caller, encryptor), wrapped)
        columns = zip(*told.values(), strict=True)
        rows = await connection.fetch(_COMPARE, *columns, keys.ring.current, at)
    for row in rows:
        if row["is_new"]:
            keys.hold(row["owner"], proposed[row["owner"]])
    there = {row["owner"]: row for row in rows if row["is_there"]}
    opened: dict[UUID, Encryptor] = {}
    with_key = [row for row in there.values() if row["wrapped"] is not None]
    keys.open(with_key, {row["owner"]: person_owner(row["owner"]) for row in with_key}, opened)
    changed = {row["owner"] for row in rows if not row["is_there"] and not row["is_new"]}
    for caller in callers:
        if (present := there.get(caller.id)) is None:
            continue
        encryptor = opened.get(caller.id)
        if present["wrapped"] is None:
            # Destroyed, wherever that was done. They get another.
            keys.forget(caller.id)
            changed.add(caller.id)
        elif encryptor is not None and _is_news(_facts(caller, encryptor), present):
            changed.add(caller.id)
    return changed


def _is_news(facts: tuple[Any, ...], row: asyncpg.Record) -> bool:
    """Tell whether a row says something else than a token; who is a psychologist is named by others."""
    _, role, name, email, organization_id, locale, _ = facts
    if (email or row["sealed_email"], locale or row["locale"]) != (row["sealed_email"], row["locale"]):
        return True
    present = (row["role"], row["sealed_name"], row["organization_id"])
    told = (role, name, organization_id or row["organization_id"])
    return told != present and not row["is_psychologist"]


def _facts(caller: Caller, encryptor: Encryptor) -> tuple[Any, ...]:
    return (
        caller.id,
        caller.role.value,
        seal_name(encryptor, caller.id, caller.full_name),
        seal_email(encryptor, caller.id, caller.email),
        caller.organization_id,
        caller.language,
        from_ms(round(caller.issued_at * 1000)),
    )


async def get_recipients(
    connection: Connection, person_ids: Iterable[UUID], *, encryptors: Mapping[UUID, Encryptor]
) -> dict[UUID, Recipient]:
    """Read how people who are told something can be reached; within a transaction if there is one.

    `encryptors` are theirs.
    """
    keys = keys_of(connection)
    reached = {}
    for row in await connection.fetch(_RECIPIENTS, list(set(person_ids))):
        person_id, locale = row["id"], row["locale"]
        name, encryptor = None, encryptors.get(person_id)
        if row["sealed_name"] is not None:
            name = open_name(keys, encryptor, person_id, row["sealed_name"])
        email = open_email(keys, encryptor, person_id, row["sealed_email"])
        name = name or ERASED_NAMES[locale or "id"]
        reached[person_id] = Recipient(person_id, name, email, locale)
    return reached


async def get_names(connection: Connection, person_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the names of people, within a transaction if there is one; unknown ones are left out."""
    rows = await connection.fetch(_NAMES, list(set(person_ids)))
    names = await names_in(connection, keys_of(connection), rows, _NAME_COLUMNS)
    return {row["id"]: shown_name(names, row["id"]) for row in rows}


async def put_psychologist(
    connection: Connection,
    psychologist_id: UUID,
    *,
    full_name: str | None,
    timezone: str | None,
    is_active: bool | None,
    at: datetime,
) -> tuple[Psychologist, WorkingTime | None]:
    """Create or change a psychologist, in the open transaction, which keeps their row locked.

    Return them, and when they took counsellings until now; None of one who is new. In what is given, None
    leaves a field as it is; where nothing differs, nothing is written.

    Raise RdchatError: VALIDATION_FAILED for a new one without a name, ILLEGAL_TRANSITION for a client.
    """
    sealed = None
    if full_name is not None:
        encryptor = await keys_of(connection).get_or_create(connection, person_owner(psychologist_id))
        sealed = seal_name(encryptor, psychologist_id, full_name)
        await connection.execute(_INTRODUCE, psychologist_id, sealed, at)
    # The person is locked before the psychologist, as a booking does it.
    person = await connection.fetchrow(_LOCKED_PERSON, psychologist_id)
    if person is not None and person["role"] in CLIENTS:
        raise RdchatError(
            ErrorCode.ILLEGAL_TRANSITION,
            f"This person is known as {person['role']} and cannot become a psychologist",
        )
    former = await connection.fetchrow(_LOCKED_PSYCHOLOGIST, psychologist_id)
    if person is None or (former is None and full_name is None):
        raise invalid("fullName", "A new psychologist needs a name.")
    is_renamed = sealed is not None and sealed != person["sealed_name"]
    usual = (_USUAL_ZONE, True) if former is None else (former["timezone"], former["is_active"])
    present = usual[0] if timezone is None else timezone, usual[1] if is_active is None else is_active
    if is_renamed:
        await connection.execute("UPDATE people SET sealed_name = $2 WHERE id = $1", psychologist_id, sealed)
        await connection.execute(_RENEW_SESSIONS, psychologist_id)
    if former is None or is_renamed or present != usual:
        await connection.execute(_PUT, psychologist_id, *present, at)
    if person["role"] != Role.PSYCHOLOGIST:
        # An administrator may see clients as well: who is a psychologist by now has no role taken away.
        await connection.execute(_MAKE_PSYCHOLOGIST, psychologist_id)
    row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
    if row is None:  # pragma: no cover - written in this transaction
        raise LookupError(psychologist_id)
    saved = await psychologist_from_row(connection, row)
    return saved, None if former is None else working_time_from_row(former)


async def get_psychologist(pool: Pool, psychologist_id: UUID) -> Psychologist | None:
    """Read one psychologist, or None."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
        return None if row is None else await psychologist_from_row(connection, row)


async def list_psychologists(
    pool: Pool,
    *,
    all_of_them: bool = False,
    after: tuple[str, UUID] | None = None,
    limit: int | None = None,
) -> list[Psychologist]:
    """List the psychologists that can be booked, or all of them, by name.

    `after` is the (name, id) of the last one that was seen. Without `limit`, there is none.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ALL, all_of_them)
        return await by_name(connection, rows, after=after, limit=limit)


async def by_name(
    connection: Connection,
    rows: Sequence[asyncpg.Record],
    *,
    after: tuple[str, UUID] | None = None,
    limit: int | None = None,
) -> list[Psychologist]:
    """Read psychologists off rows, by name and id; `after` is the last one that was seen.

    PostgreSQL cannot sort them: to it, a name is bytes. There are hundreds of them, and the names are known.
    """
    names = await names_in(connection, keys_of(connection), rows, _NAME_COLUMNS)
    placed = sorted((shown_name(names, row["id"]), row["id"], row) for row in rows)
    if after is not None:
        placed = [one for one in placed if one[:2] > after]
    return [_psychologist(row, names) for *_, row in placed[:limit]]


async def psychologist_from_row(connection: Connection, row: asyncpg.Record) -> Psychologist:
    """Read a psychologist off a row, which may have more columns."""
    return _psychologist(row, await names_in(connection, keys_of(connection), [row], _NAME_COLUMNS))


def _psychologist(row: asyncpg.Record, names: Mapping[UUID, str]) -> Psychologist:
    return Psychologist(
        id=row["id"],
        full_name=shown_name(names, row["id"]),
        timezone=row["timezone"],
        is_active=row["is_active"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
