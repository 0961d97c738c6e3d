"""Too fast: who is refused, how they are told, and what is never refused."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import limits
import pytest

import config
from rdchat.local.stores import EmbeddedRedis
from tests.support.envelope import assert_refused
from tests.support.forms import photo, upload
from tests.support.service import Service, service_settings
from tests.support.sessions import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_LIMIT = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')
_POLICY = re.compile(r'"(\w+)";q=(\d+);w=(\d+)')


@asynccontextmanager
async def limited(directory: Path, database_url: str, redis_url: str, **kinds: str) -> AsyncIterator[Service]:
    rates = {kind: limits.parse(rate) for kind, rate in kinds.items()}
    settings = service_settings(directory, rate_limits=rates)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


def rate_limit_of(headers: Any) -> tuple[str, int, int, int, int]:
    """Kind, limit, window, what is left, and in how many seconds all is again."""
    limit, policy = _LIMIT.fullmatch(headers["RateLimit"]), _POLICY.fullmatch(headers["RateLimit-Policy"])
    assert limit is not None
    assert policy is not None
    assert limit[1] == policy[1]
    return limit[1], int(policy[2]), int(policy[3]), int(limit[2]), int(limit[3])


async def test_successes_say_what_is_left_and_a_refusal_when_to_come_back(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with limited(tmp_path, database_url, redis_url, message="4/minute") as service:
        client, psychologist, session_id = await opened(service)
        for left in (3, 2, 1, 0):
            reply = await client.say(session_id, "Halo")
            assert reply.status == 201
            kind, limit, window, remaining, resets = rate_limit_of(reply.headers)
            assert (kind, limit, window, remaining) == ("message", 4, 60, left)
            assert 0 < resets <= 60
        for _ in range(3):
            refused = await client.say(session_id, "Halo")
            assert_refused(refused, 429, "RATE_LIMITED", "Too many requests")
            assert 1 <= int(refused.headers["Retry-After"]) <= 60
            assert rate_limit_of(refused.headers)[3] == 0
        assert len(await client.history(session_id)) == 6
        assert (await psychologist.say(session_id, "Halo")).status == 201, "each has their own count"
        assert "RateLimit" not in (await client.get(f"/chat/sessions/{session_id}")).headers


@pytest.mark.usefixtures("patient_with_redis")
async def test_a_burst_gets_exactly_what_there_is(tmp_path: Path, database_url: str, redis_url: str) -> None:
    async with limited(tmp_path, database_url, redis_url, message="10/minute") as service:
        client, _, session_id = await opened(service)
        replies = await asyncio.gather(*(client.say(session_id, f"{n}") for n in range(40)))
        assert Counter(reply.status for reply in replies) == {201: 10, 429: 30}
        assert len(await client.history(session_id)) == 12


async def test_ending_and_opening_files_is_never_refused(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with limited(
        tmp_path, database_url, redis_url, default="2/hour", upload="1/hour", message="1/hour"
    ) as service:
        client, psychologist, session_id = await opened_without_counting(service)
        sent = await upload(client, session_id, photo())
        assert sent.status == 201, sent.json
        assert_refused(await upload(client, session_id, photo()), 429, "RATE_LIMITED")
        assert rate_limit_of(sent.headers)[:2] == ("upload", 1)
        url = sent.data["attachment"]["url"]
        for _ in range(10):
            async with service.client.get(url if "://" in url else f"{service.base}{url}") as answer:
                assert answer.status == 200
        replies = [await client.get("/chat/sessions") for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 429, 429]
        statuses = [(await psychologist.put(f"/chat/sessions/{session_id}/end")).status for _ in range(12)]
        assert statuses == [200] * 12, "who has ended it may say so again, as often as they like"


async def opened_without_counting(service: Service) -> Any:
    """Open a chat while nothing is counted."""
    rates = service.runtime.rates
    hit = rates.hit

    async def uncounted(_kind: str, _person: Any) -> None:
        return None

    rates.hit = uncounted  # type: ignore[method-assign,assignment]
    try:
        return await opened(service)
    finally:
        rates.hit = hit  # type: ignore[method-assign]


async def test_without_redis_people_are_limited_and_served(tmp_path: Path, database_url: str) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    try:
        async with limited(tmp_path, database_url, server.address, message="6/minute") as service:
            client, _, session_id = await opened(service)
            assert (await client.say(session_id, "Halo")).status == 201
            server.kill()
            replies = [await client.say(session_id, "Halo") for _ in range(12)]
            assert [reply.status for reply in replies] == [201] * 5 + [429] * 7
    finally:
        server.stop()


async def test_off_is_off(service: Service) -> None:
    client, _, session_id = await opened(service)
    replies = await asyncio.gather(*(client.say(session_id, f"{n}") for n in range(60)))
    assert {reply.status for reply in replies} == {201}
    assert "RateLimit" not in replies[0].headers


@pytest.mark.parametrize(
    "value", ["message", "messages=5/minute", "message=fast", "message=5/fortnight", "5/s"]
)
def test_what_is_no_limit_is_reported(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDCHAT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RDCHAT_RATE_LIMITS", value)
    with pytest.raises(config.SettingsError) as caught:
        config.load()
    assert "RDCHAT_RATE_LIMITS" in str(caught.value.args)
