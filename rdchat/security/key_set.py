"""The public keys of the identity provider, fetched from its JSON Web Key Set and kept fresh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import jwt
import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

#: Providers announce a new key well before they sign with it; once a minute is soon enough for the others.
_REFRESH_SECONDS: Final = 60.0
_FETCH_SECONDS: Final = 10.0


class KeySet:
    """The keys at one address. While it cannot be reached, the keys that are known go on being used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def keys(self) -> Mapping[str, Any]:
        """The public keys by key id; the mapping itself changes when they do."""
        return self._keys

    async def start(self) -> None:
        """Fetch the keys for the first time. Raises UnavailableError: without them nobody could call."""
        try:
            await self._refresh()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise UnavailableError(f"the key set at {self._url}") from error
        self._task = keep_running(self._run, "key set")

    async def close(self) -> None:
        """Stop refreshing."""
        await cancel(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await self._refresh()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                log.warning("the key set cannot be refreshed; known keys stay in use", error=str(error))

    async def _refresh(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(self._url) as answer:
            answer.raise_for_status()
            fetched = public_keys(await answer.json(content_type=None))
        # In place: whoever verifies tokens holds this mapping. A key that is gone is no longer trusted.
        self._keys.update(fetched)
        for gone in self._keys.keys() - fetched.keys():
            del self._keys[gone]


def public_keys(key_set: dict[str, Any]) -> dict[str, Any]:
    """Read a JSON Web Key Set: public keys by key id; keys of unknown kinds are left out.

    Raises ValueError when that leaves none, or it is no key set.
    """
    try:
        keys = jwt.PyJWKSet.from_dict(key_set).keys
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise ValueError("not a JSON Web Key Set with a usable key") from error
    return {key.key_id: key.key for key in keys if key.key_id is not None}
