"""One attempt at one delivery: a signed POST, and the receiver's answer.

Nothing but the status line and `Retry-After` of the answer is used: its body is not read, a redirect is not
followed, cookies are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import aiohttp

from rdchat.webhooks.addresses import PrivateAddressError, public_socket
from rdchat.webhooks.signing import signed_headers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from uuid import UUID

    from aiohttp.abc import AbstractResolver

    from rdchat.common.clock import Clock

_CONNECT_SECONDS: Final = 5.0
#: From the look-up of the name to the head of the answer; Standard Webhooks asks for 15 to 30 seconds.
WHOLE_SECONDS: Final = 15.0
#: A burst shares connections; after it they are gone before the receiver closes them under a request.
_KEEP_ALIVE_SECONDS: Final = 1.5


class SendError(Exception):
    """The receiver was not reached, or gave no answer. The text names no more than the address."""


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """A receiver's answer: its status, and how long it wants to be left alone."""

    status: int
    retry_after: timedelta | None = None


class Sender:
    """Posts to one endpoint. `tls` replaces the system's certificates, `resolver` its look-up of names."""

    def __init__(
        self,
        endpoint: str,
        secrets: Sequence[bytes],
        clock: Clock,
        *,
        allow_private: bool,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._secrets = secrets
        self._clock = clock
        connector = aiohttp.TCPConnector(
            limit=0,
            # Each new connection looks the name up and goes to an address found then that passed the check.
            use_dns_cache=False,
            resolver=resolver,
            socket_factory=None if allow_private else public_socket,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            ssl=tls if tls is not None else True,
        )
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=WHOLE_SECONDS, connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": "rdchat"},
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def post(self, delivery_id: UUID, body: bytes) -> WebhookResponse:
        """Make an attempt. Raise SendError."""
        now = self._clock.now()
        headers = signed_headers(self._secrets, delivery_id, now, body)
        try:
            async with self._client.post(
                self._endpoint, data=body, headers=headers, allow_redirects=False
            ) as answer:
                wait = answer.headers.get("Retry-After")
                return WebhookResponse(answer.status, None if wait is None else retry_after(wait, now))
        except TimeoutError as error:
            raise SendError("no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SendError(_reason(error)) from error


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read a `Retry-After` (RFC 9110 §10.2.3: seconds, or an instant). None when it cannot be understood."""
    if value.isascii() and value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), 10**8))
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(instant - now, timedelta(0))


def _reason(error: BaseException) -> str:
    """Return what went wrong, without the address's query and without what the receiver sent."""
    if isinstance(error, aiohttp.ClientResponseError):
        return "what came back is not HTTP"
    if isinstance(error, aiohttp.InvalidURL):
        return f"the address {error.description or 'is not valid'}"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, PrivateAddressError):
        return str(cause)
    return f"{type(error).__name__}: {cause}"[:200]
