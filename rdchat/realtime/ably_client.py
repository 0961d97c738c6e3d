"""The Ably SDK behind one small interface: publish in batches, and sign requests for tokens.

Facts about the SDK that shape this module (checked with ably 3.1): a REST call takes some hundred
microseconds of processor time whatever it carries, so calls are few and full; for a host without TLS it
refuses key authentication, so the local endpoint is given a token; it waits for a connection without limit,
so a limit is set here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
import httpx
import msgpack
import orjson
from ably import AblyException, AblyRest

from rdchat.realtime.ably_transport import replace_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rdchat.events.outbox_entry import Event, SealedEvent

#: Ably's batch endpoint takes at most this many channels in one request.
BATCH_CHANNELS: Final = 100
#: And this many keys can be revoked in one.
REVOCATION_TARGETS: Final = 100
#: Ids are the same at every attempt, so giving up early and trying again costs nothing.
_CALL_SECONDS: Final = 4.0
#: Statuses with which Ably refuses the events themselves: malformed, or too large.
_REFUSED: Final = frozenset({400, 413})
_OUR_FAULT_ENDS: Final = 500
#: Statuses that mean: not now (a request that took too long, too many requests).
_AGAIN: Final = frozenset({408, 429})
#: The code with which Ably refuses more than 50 publishes a second on a channel.
_CHANNEL_RATE: Final = 42913


class PublishError(Exception):
    """Ably did not take the events, or its answer did not arrive.

    `permanent`: the same events would be refused again (too large, malformed). `crowded`: the channel has had
    as many publishes as Ably allows in a second; other channels are not affected.
    """

    def __init__(self, reason: str, *, permanent: bool = False, crowded: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.crowded = crowded


class AblyClient:
    """One Ably app.

    `endpoint` is None for Ably itself, `host:port` for a local endpoint, which clients reach by `public_host`
    where that is another one; `server_token` makes an Ably JWT for the server, used where the SDK refuses to
    send the key.
    """

    def __init__(
        self,
        key: str,
        *,
        endpoint: str | None,
        server_token: Callable[[], str],
        public_host: str | None = None,
    ) -> None:
        self.key_name, _, self._key_secret = key.partition(":")
        self.endpoint = endpoint
        self._public_host = public_host
        options: dict[str, Any] = {
            "http_open_timeout": 4.0,
            "http_request_timeout": _CALL_SECONDS,
            "use_binary_protocol": True,
        }
        if endpoint is None:
            self._rest = AblyRest(key=key, **options)
        else:

            async def authenticate(_params: dict[str, Any]) -> str:
                return server_token()

            # The trailing slash makes the SDK take the port as part of the host; its own `port` is ignored.
            self._rest = AblyRest(auth_callback=authenticate, endpoint=f"{endpoint}/", tls=False, **options)
        replace_client(self._rest, is_encrypted=endpoint is None)

    @property
    def client_options(self) -> dict[str, Any]:
        """What a client's SDK needs beside a token: `endpoint`, `port`, `tls`."""
        if self.endpoint is None:
            return {"endpoint": "main", "port": 443, "tls": True}
        host, _, port = self.endpoint.rpartition(":")
        return {"endpoint": self._public_host or host, "port": int(port), "tls": False}

    async def publish(self, groups: Sequence[Sequence[Event | SealedEvent]]) -> list[PublishError | None]:
        """Publish groups of events, each to its own channel, in one request.

        Return one result per group, None if Ably accepted it. Raise PublishError if no result is known.
        """
        body = [
            {"channels": [group[0].channel], "messages": [_message(event) for event in group]}
            for group in groups
        ]
        # The SDK itself would write bytes as text, in MessagePack's form of before it told them apart.
        packed = msgpack.packb(body)
        answer = await self._call(lambda: self._rest.request("POST", "/messages", version="3", body=packed))
        if not answer.success:
            raise PublishError(
                f"{answer.status_code} {answer.error_code} {answer.error_message}",
                permanent=answer.status_code in _REFUSED,
            )
        results = [_judge(result) for result in answer.items]
        if len(results) != len(groups):
            raise PublishError(f"Ably answered for {len(results)} of {len(groups)} groups")
        return results

    async def revoke(self, revocations: Sequence[Event]) -> PublishError | None:
        """Revoke tokens by the keys that they carry, or all of a person's who takes no part any more.

        Subscribers are asked for a new token first, and have half a minute to get it: new tokens for a
        session last a little longer than it, and new ones for a desk leave it out. A person is cut at once.
        Return the error, None when it is done. See https://ably.com/docs/auth/revocation.
        """
        revoked = [orjson.loads(event.data) for event in revocations]
        kinds = [("revocationKey", True, [one for one in revoked if "revocationKey" in one])]
        # Those of whom it may be done now do not wait for the others.
        people = [one for one in revoked if "clientId" in one]
        kinds += [
            ("clientId", False, [one for one in people if one["issuedBefore"] == instant])
            for instant in sorted({one["issuedBefore"] for one in people})
        ]
        for target, allow_margin, of_kind in kinds:
            if not of_kind:
                continue
            error = await self.revoke_targets(
                [f"{target}:{one[target]}" for one in of_kind],
                issued_before=max(one["issuedBefore"] for one in of_kind),
                allow_margin=allow_margin,
            )
            if error is not None:
                return error
        return None

    async def revoke_targets(
        self, targets: Sequence[str], *, issued_before: int, allow_margin: bool
    ) -> PublishError | None:
        """Revoke tokens by what they are known by, such as `channel:...`; `issued_before`: in ms since 1970.

        `allow_margin`: subscribers have half a minute for a new token. Return the error, None when done.
        """
        body = {
            "targets": list(targets),
            "issuedBefore": issued_before,
            "allowReauthMargin": allow_margin,
        }
        path = f"/keys/{self.key_name}/revokeTokens"
        try:
            answer = await self._call(lambda: self._rest.request("POST", path, version="3", body=body))
        except PublishError as error:
            return error
        if answer.success:
            return None
        reason = f"{answer.status_code} {answer.error_code} {answer.error_message}"
        # A key whose tokens cannot be revoked: they expire.
        permanent = answer.status_code < _OUR_FAULT_ENDS and answer.status_code not in _AGAIN
        if permanent and await self._is_ahead(issued_before):
            return PublishError(f"{reason}: Ably's clock is behind", permanent=False)
        return PublishError(reason, permanent=permanent)

    async def _is_ahead(self, instant_ms: int) -> bool:
        """Ask whether an instant is still to come by Ably's clock; what cannot be asked may be."""
        try:
            return instant_ms > int(await self._call(self._rest.time))
        except PublishError:
            return True

    async def publish_now(self, channel: str, name: str, data: dict[str, Any], *, client_id: str) -> None:
        """Publish an ephemeral event in the name of a client. Raise PublishError."""
        body = {
            "name": name,
            "data": orjson.dumps(data).decode(),
            "encoding": "json",
            "clientId": client_id,
        }
        path = f"/channels/{quote(channel, safe='')}/messages"
        answer = await self._call(lambda: self._rest.request("POST", path, version="3", body=body))
        if not answer.success:
            raise PublishError(f"{answer.status_code} {answer.error_code} {answer.error_message}")

    async def token_request(
        self, *, client_id: str, capability: dict[str, list[str]], ttl_ms: int
    ) -> dict[str, Any]:
        """Sign a TokenRequest for a client, as a JSON object. Local: no request to Ably is made."""
        request = await self._rest.auth.create_token_request(
            {"client_id": client_id, "capability": capability, "ttl": ttl_ms},
            key_name=self.key_name,
            key_secret=self._key_secret,
        )
        signed: dict[str, Any] = request.to_dict()
        return signed

    async def close(self) -> None:
        """Close the SDK's connections."""
        await self._rest.close()

    async def _call(self, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the SDK has no types
        try:
            async with asyncio.timeout(_CALL_SECONDS + 2):
                return await call()
        except AblyException as error:
            raise PublishError(str(error), permanent=False) from error
        except (aiohttp.ClientError, httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
            # ValueError: an answer in a form that the SDK does not read, as a proxy's page.
            raise PublishError(str(error) or type(error).__name__) from error


def _message(event: Event | SealedEvent) -> dict[str, Any]:
    return {
        "id": event.ably_id,
        "name": event.name,
        "data": event.data,
        "encoding": event.encoding,
    }


def _judge(result: dict[str, Any]) -> PublishError | None:
    failures = [one["error"] for one in result.get("results", ()) if "error" in one]
    if not failures:
        return None
    status, code = int(failures[0].get("statusCode", 500)), failures[0].get("code")
    reason = f"{code} {failures[0].get('message')}"
    return PublishError(reason, permanent=status in _REFUSED, crowded=code == _CHANNEL_RATE)
