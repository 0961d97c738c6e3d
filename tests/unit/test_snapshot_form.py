"""A snapshot holds all that is known of a session, or is not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import orjson
import pytest

from rdchat.redis.snapshots import Snapshots
from rdchat.security.encryption import Encryptor
from statemachine import EndSession, Refusal, Session, Status, step
from tests.support.memory_storage import MemoryStorage, SetClock

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = Encryptor(b"k" * 32)
#: A name of which no one knows what it is sealed in, and what does not open.
UNKNOWN = "Tanpa Segel"
DESTROYED = b"kunci hilang"


class Sealed:
    """Names that are sealed by turning them round."""

    def find_sealed(self, person_id: UUID, name: str) -> bytes | None:
        del person_id
        return name[::-1].encode() if name != UNKNOWN else None

    async def open(self, stored: Iterable[tuple[UUID, bytes]]) -> dict[UUID, str]:
        return {one: sealed.decode()[::-1] for one, sealed in stored if sealed != DESTROYED}


class Store:
    """Snapshots without a Redis, and the alarms that they give."""

    def __init__(self, key: Encryptor = KEY) -> None:
        self.alarms: list[tuple[str, UUID]] = []
        self.snapshots = Snapshots(None, key, Sealed(), alarm=lambda *what: self.alarms.append(what))  # type: ignore[arg-type]

    def signed(self, session: Session, content: bytes) -> bytes:
        return KEY.mac(b"snapshot\0" + session.id.bytes + content) + content

    def encode(self, session: Session) -> bytes:
        written = self.snapshots.encode(session)
        assert written is not None
        return written

    async def decode(self, session_id: UUID, value: bytes) -> Session | None:
        return (await self.snapshots.decode({session_id: value})).get(session_id)


@pytest.mark.parametrize("organization_id", [uuid4(), None])
async def test_what_is_written_is_read(organization_id: UUID | None) -> None:
    clock, store = SetClock(), Store()
    session = MemoryStorage().add(clock, status=Status.ACTIVE)
    session.psychologist_timezone, session.organization_id = "Asia/Jayapura", organization_id
    ended = step(session, EndSession(session.client_id), clock.now())
    assert not isinstance(ended, Refusal)
    for known in (session, ended.session):
        assert await store.decode(known.id, store.encode(known)) == known
    assert not store.alarms


@pytest.mark.parametrize("field", ["client_timezone", "organization_id", "automations"])
async def test_one_of_another_release_is_left_to_postgresql(field: str) -> None:
    store = Store()
    session = MemoryStorage().add(SetClock())
    raw = orjson.loads(store.encode(session)[16:])
    newer = store.signed(session, orjson.dumps(raw | {"something": 1}))
    readable = store.signed(session, orjson.dumps(raw | {"client_name": "Budi"}))
    del raw[field]
    older = store.signed(session, orjson.dumps(raw))
    for one in (older, newer, readable):
        assert await store.decode(session.id, one) is None
    assert not store.alarms, "it was written by the service"


def test_names_are_sealed_in_it() -> None:
    store = Store()
    session = MemoryStorage().add(SetClock())
    session.client_name, session.psychologist_name = "Kenanga", "Cempaka"
    written = store.encode(session)
    assert b"Kenanga" not in written
    assert b"Cempaka" not in written
    assert (session.client_name, session.psychologist_name) == ("Kenanga", "Cempaka"), "it is in memory still"
    # Better none than one with a name that anyone could read.
    session.client_name = UNKNOWN
    assert store.snapshots.encode(session) is None


async def test_one_whose_name_does_not_open_is_left_to_postgresql() -> None:
    store = Store()
    session, erased = (MemoryStorage().add(SetClock()) for _ in range(2))
    erased.psychologist_name = DESTROYED.decode()[::-1]
    values = {one.id: store.encode(one) for one in (session, erased)}
    assert await store.snapshots.decode(values) == {session.id: session}
    assert not store.alarms


async def test_one_that_the_service_has_not_written_is_none_and_an_alarm() -> None:
    store, clock = Store(), SetClock()
    session, other = (MemoryStorage().add(clock) for _ in range(2))
    written = store.encode(session)
    open_now = written.replace(b'"pending"', b'"active"')
    forged = [
        open_now,
        written[16:],
        bytes(16) + written[16:],
        written[:-1],
        b"",
        Store(Encryptor(b"x" * 32)).encode(session),
    ]
    for value in forged:
        assert await store.decode(session.id, value) is None
    assert await store.decode(other.id, written) is None, "one session's is not another's"
    assert store.alarms == [("snapshot", session.id)] * len(forged) + [("snapshot", other.id)]
