"""The resources of keys and apps: getting and revoking tokens, making and removing apps for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from .errors import AblyError, ErrorCode
from .faults import Faults, Operation
from .http import read_body, respond
from .resources import admitted, exposed
from .revocations import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .apps import App, Apps
    from .grants import Grant, Key

_MOST_TARGETS = 100
_OLDEST_REVOCATION = 3_600.0  # seconds


class KeyResources:
    """`POST /keys/{keyName}/requestToken` and `.../revokeTokens`."""

    def __init__(self, apps: Apps, faults: Faults, clock: Callable[[], float]) -> None:
        self._apps = apps
        self._faults = faults
        self._clock = clock

    def routes(self) -> Iterator[web.RouteDef]:
        """Return the routes to add to an application."""
        for path, handler in (
            ("/keys/{key_name}/requestToken", self.request_token),
            ("/keys/{key_name}/revokeTokens", self.revoke_tokens),
        ):
            yield web.post(path, exposed(handler, Operation.TOKEN, self._faults))

    async def request_token(self, request: web.Request) -> web.Response:
        """Exchange a TokenRequest for TokenDetails: one that is signed, or one made with the key itself."""
        key_name = request.match_info["key_name"]
        app = self._apps.of_key(key_name)
        body = await read_body(request)
        if not isinstance(body, dict):
            raise AblyError(ErrorCode.INVALID_BODY, "a TokenRequest must be an object")
        bearer = None
        if "Authorization" in request.headers:
            bearer = admitted(self._apps, request)[1]
        details = app.keyring.request_token(key_name, body, bearer)
        return respond(request, details, status=201)

    async def revoke_tokens(self, request: web.Request) -> web.Response:
        """Revoke tokens: `{targets: ["revocationKey:x", ...], issuedBefore?, allowReauthMargin?}`.

        Instants are milliseconds. Targets are clientIds, revocation keys and channels; one that is none of
        these fails alone. With the margin they apply half a minute later, and connected clients are asked for
        a new token.
        """
        app, grant = admitted(self._apps, request)
        key = _require_owner(app, grant, request.match_info["key_name"])
        if key.revocable is False:
            raise AblyError(ErrorCode.NOT_REVOCABLE, "tokens of this key cannot be revoked")
        body = await read_body(request)
        targets = body.get("targets") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(targets, list):
            raise AblyError(ErrorCode.INVALID_BODY, "targets must be a list of texts")
        if len(targets) > _MOST_TARGETS or not all(isinstance(target, str) for target in targets):
            raise AblyError(ErrorCode.INVALID_BODY, f"targets must be at most {_MOST_TARGETS} texts")
        now = self._clock()
        issued_before = self._issued_before(body, now)
        margin = app.limits.revocation_margin if body.get("allowReauthMargin") is True else 0.0
        # Rounded up: the margin must not be a millisecond shorter.
        applies_at = int((now + margin) * 1000) + (1 if margin else 0)
        results: list[dict[str, object]] = []
        for target in targets:
            kind, _, value = target.partition(":")
            if kind not in TARGETS or not value:
                error = AblyError(ErrorCode.BAD_REQUEST, "invalid target")
                results.append({"target": target, "error": error.wire()})
                continue
            app.keyring.revocations.revoke(target, issued_before / 1000, applies_at / 1000, now)
            results.append({"target": target, "issuedBefore": issued_before, "appliesAt": applies_at})
        app.connections.revoke()
        failures = sum("error" in result for result in results)
        answer = {"successCount": len(results) - failures, "failureCount": failures, "results": results}
        return respond(request, answer, status=201)

    def _issued_before(self, body: Mapping[str, object], now: float) -> int:
        issued_before = body.get("issuedBefore")
        if issued_before is None:
            return int(now * 1000)
        oldest = (now - _OLDEST_REVOCATION) * 1000
        if type(issued_before) is not int or not oldest <= issued_before <= now * 1000 + 1:
            raise AblyError(
                ErrorCode.INVALID_PARAMETER, "issuedBefore must be milliseconds within the last hour"
            )
        return issued_before


class AppResources:
    """`POST /apps` and `DELETE /apps/{appId}`, in the form of Ably's sandbox."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def routes(self) -> Iterator[web.RouteDef]:
        """Return the routes to add to an application."""
        yield web.post("/apps", self.create)
        yield web.delete("/apps/{app_id}", self.remove)

    async def create(self, request: web.Request) -> web.Response:
        """Make an app; see `Apps.create` for the body. No credentials are asked for.

        Besides what Ably's sandbox answers, it says where the endpoint is, as the caller reached it.
        """
        app = self._apps.create(await read_body(request))
        milliseconds = int(app.created * 1000)
        answer = {
            "id": app.id,
            "appId": app.id,
            "accountId": "ably-local",
            "status": "enabled",
            "tlsOnly": False,
            "created": milliseconds,
            "modified": milliseconds,
            "keys": [_described(key) for key in app.keyring.keys.values()],
            "namespaces": app.namespaces,
            "endpoint": request.url.host,
            "port": request.url.port,
            "tls": request.secure,
        }
        return respond(request, answer, status=201)

    async def remove(self, request: web.Request) -> web.Response:
        """Remove an app, by one of its own keys; its clients are dropped."""
        app, grant = admitted(self._apps, request)
        app_id = request.match_info["app_id"]
        if not grant.is_key or app.id != app_id:
            raise AblyError(ErrorCode.REQUIRES_KEY, "removing an app requires one of its keys")
        self._apps.remove(app_id)
        return web.Response(status=204)


def _described(key: Key) -> dict[str, object]:
    return {
        "id": key.name.partition(".")[2],
        "keyName": key.name,
        "value": key.secret,
        "keySecret": key.secret,
        "keyStr": f"{key.name}:{key.secret}",
        # The capability is text in the answer, as it is in tokens.
        "capability": key.capability.text(),
        "revocableTokens": key.revocable is True,
        "status": 0,
    }


def _require_owner(app: App, grant: Grant, key_name: str) -> Key:
    """Revoking takes the key itself.

    The Python SDK refuses to send a key over plain http, where this endpoint lives. So a token will do as
    well if it allows everything that its key does.
    """
    if not (grant.is_key or grant.stands_for(app.keyring.key(grant.key_name))):
        raise AblyError(ErrorCode.REQUIRES_KEY, "revoking tokens requires the key that issued them")
    if grant.key_name != key_name:
        raise AblyError(ErrorCode.OTHER_KEY, "tokens can only be revoked with the same key that issued them")
    return app.keyring.key(key_name)
