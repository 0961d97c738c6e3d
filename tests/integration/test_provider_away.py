"""A replica whose identity provider is away: it starts, says so, and serves once there are keys."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from rdchat.security import key_set as key_set_module
from tests.support.key_provider import KeyProvider
from tests.support.service import Service, service_settings
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_replica_serves_once_the_key_set_is_there(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FIRST_PAUSE_SECONDS", 0.02)
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(KeyProvider.running())
        provider.status = 503
        settings = service_settings(
            tmp_path, jwt_secret=None, jwt_jwks_url=provider.url, jwt_algorithms=("RS256",)
        )
        service = await stack.enter_async_context(
            Service.running(settings, database_url=database_url, redis_url=redis_url)
        )

        async def ready() -> tuple[int, dict[str, str]]:
            async with service.client.get(f"{service.base}/readyz") as answer:
                return answer.status, await answer.json()

        async def call(token: str) -> tuple[int, str | None, Any]:
            headers = {"Authorization": f"Bearer {token}"}
            async with service.client.get(f"{service.base}/api/v1/counselings", headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After"), await answer.json()

        assert await ready() == (
            503,
            {
                "status": "unavailable",
                "postgresql": "ok",
                "redis": "ok",
                "timers": "ok",
                "clock": "ok",
                "keySet": "away",
            },
        )
        status, retry_after, body = await call(provider.token("one"))
        assert (status, retry_after, body["code"]) == (503, "1", "UNAVAILABLE")
        assert (await call("garbage"))[0] == 401
        provider.status = 200

        async def is_ready() -> bool:
            return (await ready())[0] == 200

        await until(is_ready)
        assert (await call(provider.token("one")))[0] == 200
        provider.published = ["one", "two"]
        assert (await call(provider.token("two")))[0] == 200
        provider.status = 503
        assert (await call(provider.token("one")))[0] == 200
        assert (await ready())[1]["keySet"] == "ok"
