"""Many messages at the same time in one session: one order, for the database and for whoever listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.listening import listen
from tests.support.service import Service, service_settings
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

SENDERS = 50


async def test_fifty_senders_in_one_session(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    ably, heard = await listen(psychologist, session_id)
    try:
        first = (await client.session(session_id))["lastSeq"] + 1
        replies = await asyncio.gather(
            *(
                (client, psychologist)[number % 2].say(session_id, f"pesan {number}", f"m{number}")
                for number in range(SENDERS)
            )
        )
        assert {reply.status for reply in replies} == {201}
        assert sorted(reply.data["seq"] for reply in replies) == list(range(first, first + SENDERS))
        told = {reply.data["id"]: (reply.data["seq"], reply.data["message"]) for reply in replies}
        kept = {
            one["id"]: (one["seq"], one["message"])
            for one in await client.history(session_id)
            if one["seq"] >= first
        }
        assert kept == told
        await until(lambda: len(heard) >= SENDERS, 10)
        said = [(one["seq"], one["id"]) for one in heard if one["seq"] >= first]
        assert said == sorted((seq, message_id) for message_id, (seq, _) in told.items())
        again = await asyncio.gather(
            *(client.say(session_id, f"pesan {number}", f"m{number}") for number in range(0, SENDERS, 2))
        )
        assert [reply.status for reply in again] == [200] * len(again)
        assert {reply.data["id"] for reply in again} <= told.keys()
        other = await asyncio.gather(
            *(client.say(session_id, "lain", f"m{number}") for number in range(0, SENDERS, 2))
        )
        assert {(reply.status, reply.json["code"]) for reply in other} == {(422, "IDEMPOTENCY_MISMATCH")}
    finally:
        await ably.close()


@pytest.fixture
async def second(
    service: Service, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Service]:
    """Another replica on the same stores."""
    endpoint = service.runtime.ably.endpoint
    folder = tmp_path / "second"
    folder.mkdir()
    settings = service_settings(folder, ably_endpoint=endpoint)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as other:
        yield other


async def test_two_who_talk_through_two_replicas_do_not_disturb_each_other(
    service: Service, second: Service
) -> None:
    client, psychologist, session_id = await opened(service)
    elsewhere = second.person(psychologist.caller.role, "Sari", person_id=psychologist.id)
    before = (await client.session(session_id))["lastSeq"]

    async def talk(person: Person, name: str) -> list[int]:
        return [(await person.say(session_id, f"{name}{n}", f"{name}{n}")).data["seq"] for n in range(40)]

    seqs = await asyncio.gather(talk(client, "a"), talk(elsewhere, "b"))
    assert sorted(seqs[0] + seqs[1]) == list(range(before + 1, before + 81))
    assert all(one == sorted(one) for one in seqs)
    shown = await client.history(session_id)
    assert [one["seq"] for one in shown] == list(range(1, before + 81))
    # Each replica is surprised once that others talk elsewhere; from then on nothing is decided again.
    assert all(_fenced(one) <= 1 for one in (service, second))


def _fenced(service: Service) -> float:
    return next(
        float(line.rpartition(" ")[2])
        for line in service.runtime.metrics.page().decode().splitlines()
        if line.startswith("rdchat_fenced_sessions_total ")
    )
