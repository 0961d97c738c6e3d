"""Data keys: one for each session, counselling and person, wrapped with a key of the ring.

The data key of a session or a counselling is wrapped for its two people: it opens for a row that names these
two, and for no other. Where a row names someone else, nothing of it can be read or written.

Longer than most: keys are found, made, handed over and forgotten by what is at hand of them, which is one.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import structlog

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.postgres.key_destruction import OwnerKind, find_destroyed, is_genuine
from rdchat.postgres.opened_names import OpenedNames
from rdchat.security.encryption import (
    DecryptionError,
    Encryptor,
    UnknownRingKeyError,
    context,
    new_data_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import asyncpg

    from rdchat.common.telemetry import Metrics
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import KeyRing
    from statemachine import Session

log = structlog.get_logger(__name__)

#: Opened keys that are kept at hand: as many as sessions can be live at a time. About 400 bytes each.
_HELD: Final = 100_000

#: Owners that are remembered whose keys were destroyed: as many as are looked at again and again.
_GONE: Final = 10_000

#: Places of alarms that are remembered, so that none is logged again and again.
_TOLD: Final = 1_000

# Whether a key was there before this transaction: one that it has made itself may vanish with it.
_FIND: Final = """
SELECT k.owner, k.kid, k.wrapped, k.created_at < transaction_timestamp() AS lasts,
       coalesce(s.client_id, c.client_id) AS client_id,
       coalesce(s.psychologist_id, c.psychologist_id) AS psychologist_id,
       EXISTS (SELECT FROM encryption_keys e WHERE e.kid = k.kid) AS kid_is_known
  FROM data_keys k
  LEFT JOIN chat_sessions s ON s.id = k.owner
  LEFT JOIN counselings c ON c.id = k.owner
 WHERE k.owner = ANY($1)
"""

_INSERT: Final = """
INSERT INTO data_keys (owner, kid, wrapped)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])
ON CONFLICT (owner) DO NOTHING
"""

_PEOPLE: Final = """
SELECT id, client_id, psychologist_id FROM counselings WHERE id = ANY($1)
UNION ALL
SELECT id, client_id, psychologist_id FROM chat_sessions WHERE id = ANY($1)
"""

# Behind the last that was seen: one that does not open is not met again.
_LOCK_PAGE: Final = """
SELECT owner FROM data_keys WHERE kid <> $1 AND ($2::uuid IS NULL OR owner > $2)
 ORDER BY owner LIMIT $3 FOR UPDATE
"""

_REPLACE: Final = """
UPDATE data_keys k SET kid = $3, wrapped = w.wrapped
  FROM unnest($1::uuid[], $2::bytea[]) AS w (owner, wrapped) WHERE k.owner = w.owner
"""

#: Whose key authenticates what lies outside of PostgreSQL.
_SERVICE: Final = UUID(int=0)


class DataKeyError(RdchatError):
    """The data key of an owner is missing, or does not open for the people that its row names (NOT_FOUND).

    `erased`: it was destroyed.
    """

    def __init__(self, owner: UUID, *, erased: bool = False) -> None:
        sentence = "This was erased" if erased else "This cannot be opened: it was changed where it is stored"
        super().__init__(ErrorCode.NOT_FOUND, sentence)
        self.owner = owner
        self.erased = erased


class KeyOwner(NamedTuple):
    """What a data key belongs to, and the two for whom it is wrapped.

    `people`: none for a person's own key; for others those whom the caller takes for the two, or None. It is
    the row that counts: where it names others, a key that is at hand is opened again, for these.
    """

    id: UUID
    people: tuple[UUID, ...] | None


def session_owner(session: Session) -> KeyOwner:
    """Return a session as the owner of a data key."""
    return KeyOwner(session.id, session.participants)


def person_owner(person_id: UUID) -> KeyOwner:
    """Return a person as the owner of a data key."""
    return KeyOwner(person_id, ())


@dataclass(frozen=True, slots=True)
class _Held:
    people: tuple[UUID, ...]
    encryptor: Encryptor


@dataclass(frozen=True, slots=True)
class RewrappedPage:
    """What became of a page of data keys; `last` is the last owner of it, None where it was the last page."""

    done: int
    failed: int
    last: UUID | None


class DataKeys:
    """Finds, makes and opens data keys, and keeps the latest at hand. `ring` wraps them.

    What does not open is counted as an alarm: something has been changed in a store. Every method raises
    what asyncpg raises, and UnavailableError for a key that other replicas have and this one does not.

    A key that was destroyed stays missing: nothing can be written for its owner any more, and what is still
    stored cannot be read, without an alarm. Only people get another one, if they come back.
    """

    def __init__(self, ring: KeyRing, metrics: Metrics) -> None:
        self.ring = ring
        self._metrics = metrics
        self._held: OrderedDict[UUID, _Held] = OrderedDict()
        self._told: set[tuple[str, UUID]] = set()
        self.names = OpenedNames()
        self._gone: OrderedDict[UUID, None] = OrderedDict()
        #: Counts what was destroyed: what was being fetched meanwhile is not kept.
        self._destructions = 0

    async def find(self, connection: Connection, owners: Iterable[KeyOwner]) -> dict[UUID, Encryptor]:
        """Return what encrypts for each owner. Those without a key that opens are left out."""
        found, sought = self._at_hand(owners)
        if sought:
            await self._fetch(connection, sought, found)
        return found

    async def ensure(self, connection: Connection, owners: Iterable[KeyOwner]) -> dict[UUID, Encryptor]:
        """Return what encrypts for each owner, and make the keys of those that have none.

        Raise DataKeyError where a key does not open.
        """
        found, sought = self._at_hand(owners)
        if not sought:
            return found
        known = await self._fetch(connection, sought, found)
        missing = [owner for owner in sought.values() if owner.id not in known]
        if missing:
            await self.create(connection, missing)
            # Read back: another replica may have been quicker, and its key counts.
            await self._fetch(connection, {owner.id: owner for owner in missing}, found)
        for owner_id in sought.keys() - found.keys():
            raise DataKeyError(owner_id, erased=owner_id in self._gone)
        return found

    async def get(self, connection: Connection, owner: KeyOwner) -> Encryptor:
        """Return what encrypts for an owner that has a key. Raise DataKeyError."""
        found = await self.find(connection, [owner])
        if owner.id not in found:
            raise DataKeyError(owner.id, erased=owner.id in self._gone)
        return found[owner.id]

    async def get_or_create(self, connection: Connection, owner: KeyOwner) -> Encryptor:
        """Return what encrypts for an owner, with a new key if it has none. Raise DataKeyError."""
        return (await self.ensure(connection, [owner]))[owner.id]

    def at_hand(self, owner: KeyOwner) -> Encryptor | None:
        """Return what encrypts for an owner if that is known without asking."""
        held = self._held.get(owner.id)
        if held is None or owner.people not in (None, held.people):
            return None
        return held.encryptor

    def propose(self, person_id: UUID) -> tuple[bytes, Encryptor]:
        """Make a data key for a person who may have none, for a statement that inserts it if so.

        Return it, wrapped with the ring's current key, and what encrypts with it.
        """
        key = new_data_key()
        return self.ring.wrap(key, _wrapped_for(person_id, ())), Encryptor(key)

    def hold(self, person_id: UUID, encryptor: Encryptor) -> None:
        """Keep at hand what encrypts with a proposed key of a person, once that is committed."""
        self._hold(person_id, _Held((), encryptor))

    def forget(self, owner_id: UUID) -> None:
        """Forget an owner's key, and the name that was opened with it: the key is destroyed."""
        self._destructions += 1
        self._held.pop(owner_id, None)
        self.names.forget(owner_id)

    async def create(self, connection: Connection, owners: Sequence[KeyOwner]) -> None:
        """Make keys for owners; those that have one keep it."""
        unsaid = [owner.id for owner in owners if owner.people is None]
        if unsaid:
            named = {row["id"]: _people_of(row) for row in await connection.fetch(_PEOPLE, unsaid)}
            owners = [
                KeyOwner(owner.id, named.get(owner.id, ()) if owner.people is None else owner.people)
                for owner in owners
            ]
        rows = [
            (
                owner.id,
                self.ring.current,
                self.ring.wrap(new_data_key(), _wrapped_for(owner.id, owner.people)),
            )
            # In one order everywhere, so that two who make the same keys never wait in a circle.
            for owner in sorted(owners, key=lambda one: one.id.bytes)
        ]
        if rows:
            await connection.execute(_INSERT, *zip(*rows, strict=True))

    async def hand_over(self, connection: Connection, owner: KeyOwner, people: tuple[UUID, ...]) -> None:
        """Wrap an owner's key for other people, in the transaction that gives it to them.

        An owner without a key stays without. Raise DataKeyError.
        """
        row = await connection.fetchrow(
            "SELECT owner, kid, wrapped FROM data_keys WHERE owner = $1 FOR UPDATE", owner.id
        )
        if row is None:
            return
        wrapped = self._wrapped_again(row, owner.people, people)
        if wrapped is None:
            raise DataKeyError(owner.id)
        await connection.execute(_REPLACE, [owner.id], [wrapped], self.ring.current)

    async def rewrap_page(
        self, connection: Connection, *, after: UUID | None, limit: int = 500
    ) -> RewrappedPage:
        """Wrap the keys of a page that are not under the ring's current key with that, in a transaction."""
        locked = await connection.fetch(_LOCK_PAGE, self.ring.current, after, limit)
        owners = [row["owner"] for row in locked]
        # Read behind the locks, in a statement of its own: it sees what the last hand-over has left.
        rows = await connection.fetch(_FIND, owners) if owners else []
        again = {}
        for row in rows:
            people = _people_of(row)
            wrapped = self._wrapped_again(row, people, people)
            if wrapped is not None:
                again[row["owner"]] = wrapped
        await connection.execute(_REPLACE, list(again), list(again.values()), self.ring.current)
        return RewrappedPage(len(again), len(rows) - len(again), owners[-1] if len(owners) == limit else None)

    def _wrapped_again(
        self, row: asyncpg.Record, people: tuple[UUID, ...] | None, new_people: tuple[UUID, ...]
    ) -> bytes | None:
        """Wrap the key of a locked row for new people, with the current key; None where it does not open."""
        owner_id = row["owner"]
        try:
            key = self.ring.unwrap(row["kid"], row["wrapped"], _wrapped_for(owner_id, people))
        except (DecryptionError, UnknownRingKeyError):
            self.alarm("data_key", owner_id)
            return None
        return self.ring.wrap(key, _wrapped_for(owner_id, new_people))

    def forget_all(self, owner_ids: Iterable[UUID]) -> None:
        """Forget the keys of several owners."""
        for owner_id in owner_ids:
            self.forget(owner_id)

    def is_destroyed(self, owner_id: UUID) -> bool:
        """Tell whether the key of an owner was destroyed, once it was asked for."""
        return owner_id in self._gone

    async def get_service_key(self, connection: Connection) -> Encryptor:
        """Return the key of the service itself, the same for all replicas. Raise DataKeyError."""
        return await self.get_or_create(connection, KeyOwner(_SERVICE, ()))

    def read(
        self, encryptor: Encryptor | None, encrypted: bytes, bound_to: bytes, *, what: str, where: UUID
    ) -> bytes | None:
        """Decrypt what is in a store; None, and an alarm, if it is not as it was written, or has no key."""
        if encryptor is not None:
            with contextlib.suppress(DecryptionError):
                return encryptor.decrypt(encrypted, bound_to)
        self.alarm(what, where)
        return None

    def alarm(self, what: str, where: UUID) -> None:
        """Say that something in a store is not as it was written: `what` it is, and `where` it belongs.

        What was erased is as it should be.
        """
        if where in self._gone:
            return
        self._metrics.integrity_failure(what)
        # It is met again each time that someone looks; the log has each place once, or nearly.
        if len(self._told) >= _TOLD:
            self._told.clear()
        if (what, where) not in self._told:
            self._told.add((what, where))
            log.error("something in a store is not as it was written", what=what, where=str(where))

    def _at_hand(self, owners: Iterable[KeyOwner]) -> tuple[dict[UUID, Encryptor], dict[UUID, KeyOwner]]:
        found: dict[UUID, Encryptor] = {}
        sought: dict[UUID, KeyOwner] = {}
        for owner in owners:
            held = self._held.get(owner.id)
            if held is not None and (owner.people is None or held.people == owner.people):
                self._held.move_to_end(owner.id)
                found[owner.id] = held.encryptor
            else:
                sought[owner.id] = owner
        return found, sought

    async def _fetch(
        self, connection: Connection, sought: dict[UUID, KeyOwner], found: dict[UUID, Encryptor]
    ) -> set[UUID]:
        """Add to `found` the keys that open. Return the owners that have one, or can have none any more."""
        destructions = self._destructions
        rows = await connection.fetch(_FIND, list(sought))
        self.open(rows, sought, found, hold=destructions == self._destructions)
        known = {row["owner"] for row in rows}
        for owner_id in known:
            # One who has come back.
            self._gone.pop(owner_id, None)
        missing = sought.keys() - known - {_SERVICE}
        return known | await self._note_destroyed(connection, missing) if missing else known

    async def _note_destroyed(self, connection: Connection, missing: set[UUID]) -> set[UUID]:
        """Find out which keys are missing because they were destroyed. Return those that stay missing."""
        stones = await find_destroyed(connection, missing)
        if not stones:
            return set()
        service_key = await self.get_service_key(connection)
        stay = set()
        for owner_id, (kind, erasure_id, mac) in stones.items():
            if not is_genuine(owner_id, kind, erasure_id, mac, service_key=service_key):
                self.alarm("data_key", owner_id)
                continue
            self._gone[owner_id] = None
            self._gone.move_to_end(owner_id)
            if kind is not OwnerKind.PERSON:
                stay.add(owner_id)
        while len(self._gone) > _GONE:
            self._gone.popitem(last=False)
        return stay

    def open(
        self,
        rows: Iterable[asyncpg.Record],
        sought: Mapping[UUID, KeyOwner],
        found: dict[UUID, Encryptor],
        *,
        hold: bool = True,
    ) -> None:
        """Add to `found` the keys that open, off rows with the columns of `_FIND`; `hold` them at hand."""
        for row in rows:
            owner_id = row["owner"]
            # A row that is yet to be written names no one: then it is the caller who knows.
            named, asked = _people_of(row), sought[owner_id].people
            # Of equal ones, those that the session has as well: one pair of ids less for each that is live.
            people = asked if asked is not None and named in ((), asked) else named
            try:
                key = self.ring.unwrap(row["kid"], row["wrapped"], _wrapped_for(owner_id, people))
            except UnknownRingKeyError as error:
                if row["kid_is_known"]:
                    log.exception("a key of the ring is missing here", kid=error.kid)
                    raise UnavailableError(f"the encryption key {error.kid}") from error
                self.alarm("data_key", owner_id)
            except DecryptionError:
                self.alarm("data_key", owner_id)
            else:
                found[owner_id] = encryptor = Encryptor(key)
                if row["lasts"] and hold:
                    self._hold(owner_id, _Held(people, encryptor))

    def _hold(self, owner_id: UUID, held: _Held) -> None:
        self._held[owner_id] = held
        self._held.move_to_end(owner_id)
        if len(self._held) > _HELD:
            self._held.popitem(last=False)


def keys_of(connection: Connection) -> DataKeys:
    """Return the data keys that a connection's pool was opened with. Raise LookupError."""
    keys = getattr(connection, "data_keys", None)
    if isinstance(keys, DataKeys):
        return keys
    raise LookupError("this pool was opened without data keys, which open names")


def _people_of(row: asyncpg.Record) -> tuple[UUID, ...]:
    return () if row["client_id"] is None else (row["client_id"], row["psychologist_id"])


def _wrapped_for(owner_id: UUID, people: tuple[UUID, ...] | None) -> bytes:
    if people is None:
        raise ValueError("a new data key needs the people it is for")
    return context("data key", owner_id, *people)
