"""A snapshot holds all that is known of a session, or is not believed."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest

from rdchat.redis import snapshots
from statemachine import EndSession, Refusal, Status, step
from tests.support.memory_storage import MemoryStorage, SetClock


@pytest.mark.parametrize("organization_id", [uuid4(), None])
def test_what_is_written_is_read(organization_id: object) -> None:
    clock = SetClock()
    session = MemoryStorage().add(clock, status=Status.ACTIVE)
    session.psychologist_timezone, session.organization_id = "Asia/Jayapura", organization_id  # type: ignore[assignment]
    ended = step(session, EndSession(session.client_id), clock.now())
    assert not isinstance(ended, Refusal)
    for known in (session, ended.session):
        assert snapshots._decode(snapshots._encode(known)) == known  # noqa: SLF001 - the form itself


@pytest.mark.parametrize("field", ["client_timezone", "organization_id", "automations"])
def test_one_of_another_release_is_left_to_postgresql(field: str) -> None:
    session = MemoryStorage().add(SetClock())
    raw = orjson.loads(snapshots._encode(session))  # noqa: SLF001 - the form itself
    newer = orjson.dumps(raw | {"something": 1})
    del raw[field]
    older = orjson.dumps(raw)
    assert snapshots._decode(older) is None  # noqa: SLF001 - the form itself
    assert snapshots._decode(newer) is None  # noqa: SLF001 - the form itself
