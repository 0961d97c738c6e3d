"""A snapshot holds all that is known of a session, or is not believed."""

from __future__ import annotations

from uuid import UUID, uuid4

import orjson
import pytest

from rdchat.redis.snapshots import Snapshots
from rdchat.security.encryption import Encryptor
from statemachine import EndSession, Refusal, Session, Status, step
from tests.support.memory_storage import MemoryStorage, SetClock

KEY = Encryptor(b"k" * 32)


class Store:
    """Snapshots without a Redis, and the alarms that they give."""

    def __init__(self, key: Encryptor = KEY) -> None:
        self.alarms: list[tuple[str, UUID]] = []
        self.snapshots = Snapshots(None, key, alarm=lambda *what: self.alarms.append(what))  # type: ignore[arg-type]

    def signed(self, session: Session, content: bytes) -> bytes:
        return KEY.mac(b"snapshot\0" + session.id.bytes + content) + content


@pytest.mark.parametrize("organization_id", [uuid4(), None])
def test_what_is_written_is_read(organization_id: UUID | None) -> None:
    clock, store = SetClock(), Store()
    session = MemoryStorage().add(clock, status=Status.ACTIVE)
    session.psychologist_timezone, session.organization_id = "Asia/Jayapura", organization_id
    ended = step(session, EndSession(session.client_id), clock.now())
    assert not isinstance(ended, Refusal)
    for known in (session, ended.session):
        assert store.snapshots.decode(known.id, store.snapshots.encode(known)) == known
    assert not store.alarms


@pytest.mark.parametrize("field", ["client_timezone", "organization_id", "automations"])
def test_one_of_another_release_is_left_to_postgresql(field: str) -> None:
    store = Store()
    session = MemoryStorage().add(SetClock())
    raw = orjson.loads(store.snapshots.encode(session)[16:])
    newer = store.signed(session, orjson.dumps(raw | {"something": 1}))
    del raw[field]
    older = store.signed(session, orjson.dumps(raw))
    assert store.snapshots.decode(session.id, older) is None
    assert store.snapshots.decode(session.id, newer) is None
    assert not store.alarms, "it was written by the service"


def test_one_that_the_service_has_not_written_is_none_and_an_alarm() -> None:
    store, clock = Store(), SetClock()
    session, other = (MemoryStorage().add(clock) for _ in range(2))
    written = store.snapshots.encode(session)
    open_now = written.replace(b'"pending"', b'"active"')
    forged = [
        open_now,
        written[16:],
        bytes(16) + written[16:],
        written[:-1],
        b"",
        Store(Encryptor(b"x" * 32)).snapshots.encode(session),
    ]
    for value in forged:
        assert store.snapshots.decode(session.id, value) is None
    assert store.snapshots.decode(other.id, written) is None, "one session's is not another's"
    assert store.alarms == [("snapshot", session.id)] * len(forged) + [("snapshot", other.id)]
