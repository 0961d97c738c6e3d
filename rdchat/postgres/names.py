"""Names and e-mail addresses of people, as they are stored: sealed with the person's own data key.

The same name of the same person is sealed in the same bytes each time, so that a statement sees whether a
person was renamed, and a process that has opened a name knows it again. A person who was erased has none: for
it, and for one that does not open, `ERASED_NAMES` are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context
from rdchat.texts.wording import ERASED_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

#: Columns of a row that say whose name is stored there, and what is.
NameColumns = tuple[str, str]
#: Of rows about a client and a psychologist.
OF_BOTH: Final[tuple[NameColumns, ...]] = (
    ("client_id", "client_sealed"),
    ("psychologist_id", "psychologist_sealed"),
)


def seal_name(encryptor: Encryptor, person_id: UUID, name: str) -> bytes:
    """Encrypt a person's name, for their row."""
    return encryptor.encrypt_alike(name.encode(), _name_context(person_id))


def seal_email(encryptor: Encryptor, person_id: UUID, email: str | None) -> bytes | None:
    """Encrypt a person's e-mail address, for their row; None stays None."""
    return None if email is None else encryptor.encrypt_alike(email.encode(), _email_context(person_id))


def open_name(keys: DataKeys, encryptor: Encryptor | None, person_id: UUID, sealed: bytes) -> str | None:
    """Decrypt a person's name; None, and an alarm, if it does not open."""
    name = keys.read(encryptor, sealed, _name_context(person_id), what="name", where=person_id)
    return None if name is None else name.decode()


def open_email(
    keys: DataKeys, encryptor: Encryptor | None, person_id: UUID, sealed: bytes | None
) -> str | None:
    """Decrypt a person's e-mail address; None if there is none, or, with an alarm, if it does not open."""
    if sealed is None:
        return None
    email = keys.read(encryptor, sealed, _email_context(person_id), what="email", where=person_id)
    return None if email is None else email.decode()


async def open_names(
    connection: Connection, keys: DataKeys, stored: Iterable[tuple[UUID, bytes | None]]
) -> dict[UUID, str]:
    """Return the names of people, given what is stored of each; those without one that opens are left out.

    PostgreSQL is asked for keys only where a name was not opened before.
    """
    opened: dict[UUID, str] = {}
    unknown: dict[UUID, bytes] = {}
    for person_id, sealed in stored:
        if sealed is None:
            continue
        name = keys.names.get(person_id, sealed)
        if name is None:
            unknown[person_id] = sealed
        else:
            opened[person_id] = name
    if unknown:
        encryptors = await keys.find(connection, map(person_owner, unknown))
        for person_id, sealed in unknown.items():
            name = open_name(keys, encryptors.get(person_id), person_id, sealed)
            if name is not None:
                opened[person_id] = name
                keys.names.hold(person_id, sealed, name)
    return opened


async def names_in(
    connection: Connection,
    keys: DataKeys,
    rows: Sequence[asyncpg.Record | Mapping[str, Any]],
    columns: Iterable[NameColumns] = OF_BOTH,
) -> dict[UUID, str]:
    """Return the names of the people whom rows name, as `open_names` does."""
    return await open_names(
        connection, keys, ((row[whose], row[sealed]) for whose, sealed in columns for row in rows)
    )


class SnapshotNames:
    """What snapshots of sessions in Redis know names by, as they are sealed in PostgreSQL."""

    def __init__(self, pool: Pool, keys: DataKeys) -> None:
        self._pool = pool
        self._keys = keys

    def find_sealed(self, person_id: UUID, name: str) -> bytes | None:
        """Return what a name of a person is sealed in; None if it is not the one that was opened last."""
        return self._keys.names.find_sealed(person_id, name)

    async def open(self, stored: Iterable[tuple[UUID, bytes]]) -> dict[UUID, str]:
        """Return the names of people, given what each is sealed in; those that do not open are left out.

        Without a name that is new here, PostgreSQL is not asked.
        """
        # Of one person there may be two, in snapshots of before and after they were renamed.
        wanted = set(stored)
        opened = {
            one: name for one, sealed in wanted if (name := self._keys.names.get(one, sealed)) is not None
        }
        unknown = [(one, sealed) for one, sealed in wanted if one not in opened]
        if unknown:
            async with acquire(self._pool) as connection:
                opened |= await open_names(connection, self._keys, unknown)
        return opened


def shown_name(names: Mapping[UUID, str], person_id: UUID, language: str | None = None) -> str:
    """Return a person's name, or what stands for that of one who was erased."""
    return names.get(person_id) or ERASED_NAMES[language or "id"]


def _name_context(person_id: UUID) -> bytes:
    return context("name", person_id)


def _email_context(person_id: UUID) -> bytes:
    return context("email", person_id)
