"""Whether the service that runs accepts tokens of a secret: asked with one that opens nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from config import Settings
    from rdchat.security.caller_tokens import CallerTokens

_LIFETIME: Final = timedelta(seconds=30)
_PATIENCE: Final = aiohttp.ClientTimeout(total=2)
#: Where a service is reached that listens everywhere.
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def service_address(settings: Settings) -> str:
    """Return where a service with these settings is reached from this machine."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def is_secret_of_service(settings: Settings, tokens: CallerTokens) -> bool | None:
    """Say whether the service at the settings' address accepts such tokens; None: none is there to ask."""
    if settings.port == 0:
        return None
    token = tokens.issue_probe(lifetime=_LIFETIME)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(service_address(settings), timeout=_PATIENCE) as http,
            http.get("/api/v1/organization", headers=headers) as answer,
        ):
            said = await answer.json()
            code = said.get("code") if isinstance(said, dict) else None
    except (TimeoutError, aiohttp.ClientError, ValueError):
        return None
    return {"FORBIDDEN": True, "UNAUTHENTICATED": False}.get(str(code))
