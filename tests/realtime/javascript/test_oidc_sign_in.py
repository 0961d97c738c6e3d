"""Signing in to the pages at an identity provider, in a real browser."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from handlers.pages.static_files import WEB
from tests.support.browser import browsing
from tests.support.identity_provider import AUDIENCE, CLIENT_ID, IdentityProvider
from tests.support.service import Service, service_settings
from tests.support.waiting import until

pytestmark = [pytest.mark.xdist_group("javascript"), pytest.mark.usefixtures("web_packages")]

SCRIPT = Path(__file__).parents[1] / "js" / "oidc.js"
PATIENCE = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is served instead of `web/`: the same, with another entry."""
    made = tmp_path / "web"
    for part in ("app", "client"):
        shutil.copytree(WEB / part, made / part)
    (made / "node_modules").symlink_to(WEB / "node_modules")
    shutil.copy(SCRIPT, made / "app" / "main.js")
    monkeypatch.setattr("handlers.pages.app_routes.WEB", made)
    return made


@pytest.mark.usefixtures("folder")
async def test_in_through_the_provider_and_out_again(
    tmp_path: Path, database_url: str, redis_url: str, browser: str, directory: Path
) -> None:
    async with AsyncExitStack() as closing:
        provider = await closing.enter_async_context(IdentityProvider.running())
        settings = service_settings(
            tmp_path / "data",
            jwt_secret=None,
            jwt_jwks_url=f"{provider.url}/keys",
            jwt_algorithms=("RS256",),
            jwt_issuer=provider.url,
            jwt_audience=AUDIENCE,
            oidc_authority=provider.url,
            oidc_client_id=CLIENT_ID,
        )
        service = await closing.enter_async_context(
            Service.running(settings, database_url=database_url, redis_url=redis_url)
        )
        await closing.enter_async_context(browsing(browser, directory, f"{service.base}/app"))
        await until(lambda: len(provider.told) == 2 or "broken" in str(provider.told), PATIENCE)
    assert provider.told == [
        {"returnTo": "/app/chat/1?x=2", "status": 200, "same": True, "renewed": 200, "isNew": True},
        {"out": None},
    ]
    assert provider.seen == ["/authorize", "/token authorization_code", "/token refresh_token", "/end"]
