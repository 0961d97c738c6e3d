"""Retention ends what is over for long enough, and legal holds keep it, from erasure as well."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from config import Organizations
from config.organizations import Organization
from rdchat.common.clock import SystemClock
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.erasure import ErasureStatus, HoldSubject
from rdchat.domain.operator_action import Operator
from rdchat.operations.privacy import retaining
from rdchat.operations.privacy.retaining import RetentionService
from tests.support.at_rest import plaintext_in_database
from tests.support.erasing import NAME, WORDS, Past, a_past, alarms, erase

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.service import Service

BY = Operator(reason="Perkara 12/2026")


class DaysAheadClock(SystemClock):
    """A clock that is some days ahead."""

    def __init__(self, days: float) -> None:
        self._days = days

    def now(self) -> datetime:
        return super().now() + timedelta(days=self._days)


def retention(service: Service, *, days: float, of: dict[UUID, int] | None = None) -> RetentionService:
    """The service's retention of thirty days, or an organisation's own, some days later."""
    own = service.runtime.privacy.retention
    return RetentionService(
        pool=own.pool,
        keys=own.keys,
        organizations=Organizations(
            Organization(retention_days=30),
            {one: Organization(retention_days=days) for one, days in (of or {}).items()},
        ),
        erasures=own.erasures,
        clock=DaysAheadClock(days),
    )


async def says(past: Past) -> bool:
    return WORDS in str(await past.psychologist.history(past.session_id))


async def test_what_is_over_for_long_enough_goes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "_LOOK", 1)
    monkeypatch.setattr(retaining, "_PAGE", 1)
    past, other = await a_past(service), await a_past(service)
    assert (await retention(service, days=29).apply(BY)).erasure is None
    found = await retention(service, days=31).find()
    sessions = {str(one.session_id) for one in found.due}
    assert ({past.session_id, other.session_id} <= sessions, found.held) == (True, 0)
    assert await says(past), "it was only looked for"

    # Killed after the first page, it is gone on with, and recorded once.
    class KilledError(Exception):
        pass

    def kill(text: str) -> None:
        if "erased" in text:
            raise KilledError

    with pytest.raises(KilledError):
        await retention(service, days=31).apply(BY, say=kill)
    run = await retention(service, days=31).apply(BY)
    erasure = run.erasure
    assert erasure is not None
    assert (erasure.status, erasure.counts["sessions"], erasure.counts["files"]) == (ErasureStatus.DONE, 2, 2)
    assert await service.runtime.pool.fetchval("SELECT count(*) FROM erasures") == 1
    assert [await says(one) for one in (past, other)] == [False, False]
    assert await plaintext_in_database(service.runtime.pool, WORDS) == []
    # People stay, and what is ahead.
    assert (await past.client.get(f"/counselings/{past.ahead}")).data["notes"] == WORDS
    assert NAME in str((await past.psychologist.get("/counselings")).json)
    assert (await retention(service, days=31).find()).due == []
    assert alarms(service) == 0


async def test_an_organization_keeps_for_as_long_as_it_says(service: Service) -> None:
    past = await a_past(service)
    organization = uuid4()
    kept = retention(service, days=31, of={organization: 365})
    assert {one.session_id for one in (await kept.find()).due} == {UUID(past.session_id)}
    now = service.runtime.clock.now()
    assert kept.ends_before(now, organization) == now - timedelta(days=365)
    assert kept.ends_before(now, uuid4()) == kept.ends_before(now, None) == now - timedelta(days=30)
    assert (await kept.find(only=organization)).due == []


async def test_a_legal_hold_keeps_what_it_is_on(service: Service) -> None:
    past = await a_past(service)
    holds, later = service.runtime.privacy.holds, retention(service, days=31)
    session = HoldSubject.SESSION, UUID(past.session_id)
    for subject in (
        session,
        (HoldSubject.PERSON, past.client.id),
        (HoldSubject.PERSON, past.psychologist.id),
    ):
        with pytest.raises(RdchatError, match="Validation failed"):
            await holds.set_hold(Operator(), *subject)
        hold = await holds.set_hold(BY, *subject)
        assert await holds.set_hold(BY, *subject) == hold, "one is enough"
        run = await later.apply(BY)
        assert (run.due, run.held, run.erasure) == ([], 1, None)
        if subject[1] != past.psychologist.id:
            with pytest.raises(RdchatError, match="legal hold") as refused:
                await erase(service, past.client)
            assert refused.value.code is ErrorCode.LEGAL_HOLD
        assert await holds.list_holds() == [hold]
        assert await holds.lift_hold(BY, *subject)
        assert not await holds.lift_hold(BY, *subject)
    assert await says(past)
    with pytest.raises(RdchatError, match="not found"):
        await holds.set_hold(BY, HoldSubject.PERSON, uuid4())
    assert await plaintext_in_database(service.runtime.pool, "Perkara 12") == []
    assert len((await later.apply(BY)).due) == 1
