"""The HTTP client below the Ably SDK: aiohttp's instead of httpx's, which the SDK would use.

A request by httpx takes 600 to 780 us of processor time, by aiohttp 120 to 270, for the same bytes.
The SDK takes no client, so the one that it has made is replaced, if it is where it was in ably 3.1; another
version keeps its own. It uses three of its functions, and reads what an `httpx.Response` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    from ably import AblyRest

CLIENT: Final = "_Http__client"
#: Requests at a time: the publisher has two, the rest are typing and revocations.
_CONNECTIONS: Final = 20
#: Ably closes idle connections after a minute; one that is closed as it is used costs an attempt.
_IDLE_SECONDS: Final = 30.0


class AiohttpClient:
    """As much of an `httpx.AsyncClient` as the Ably SDK uses.

    `send` raises OSError, TimeoutError or aiohttp.ClientError. `is_encrypted`: requests go by TLS.
    """

    def __init__(self, *, is_encrypted: bool) -> None:
        self._is_encrypted = is_encrypted
        self._session: aiohttp.ClientSession | None = None

    def build_request(
        self,
        *,
        method: str,
        url: str,
        content: bytes | str | None,
        params: dict[str, str],
        headers: dict[str, str],
        timeout: tuple[float, float],
    ) -> dict[str, Any]:
        """Put a request together. `timeout`: seconds for the connection, and for each wait for an answer."""
        connect, read = timeout
        return {
            "method": method,
            "url": URL(url, encoded=True).update_query(params) if params else URL(url, encoded=True),
            "data": content,
            "headers": headers,
            # httpx follows none either.
            "allow_redirects": False,
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
        }

    async def send(self, request: dict[str, Any]) -> httpx.Response:
        """Send a request, and read the whole answer."""
        if self._session is None:
            self._session = self._open()
        async with self._session.request(**request) as answer:
            content = await answer.read()
        return httpx.Response(answer.status, headers=dict(answer.headers), content=content)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # The authorities that httpx trusts: a machine without any of its own, as in a small image, has these.
        trusted = httpx.create_ssl_context() if self._is_encrypted else True
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, ssl=trusted)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # As httpx: proxies by HTTPS_PROXY and NO_PROXY.
            trust_env=True,
            auto_decompress=True,
            skip_auto_headers=("User-Agent",),
        )


def replace_client(rest: AblyRest, *, is_encrypted: bool) -> bool:
    """Give an SDK aiohttp's client. Return False, and leave it as it is, where it has another form."""
    # It has not been used: nothing of it is open.
    if not isinstance(getattr(rest.http, CLIENT, None), httpx.AsyncClient):
        return False
    setattr(rest.http, CLIENT, AiohttpClient(is_encrypted=is_encrypted))
    return True
