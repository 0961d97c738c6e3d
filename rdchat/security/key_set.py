"""The public keys of the identity provider, fetched from its JSON Web Key Set and kept fresh.

They are fetched every minute, and at once when a token names a key that is not known. The provider may be
away: keys that are known stay in use for as long as they are trusted without it, and a replica that starts
without it goes on asking. Keys come from that one address: a redirect is a fault, wherever it leads.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

_REFRESH_SECONDS: Final = 60.0
#: Until the first keys are there, they are asked for more often: after this, and twice as long each time.
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15.0
_FETCH_SECONDS: Final = 10.0
#: The start waits so long for a provider that hangs.
_START_SECONDS: Final = 3.0
#: So does a request whose token names an unknown key, and so many at a time: others are answered at once.
_WAIT_SECONDS: Final = 3.0
_MOST_WAITING: Final = 64
#: Anyone can write the name of a key. The same one is not asked for again so soon, ...
_UNKNOWN_SECONDS: Final = 5.0
#: ... and for different ones there are so many fetches at once, and then one at a time after so long.
_MOST_FETCHES: Final = 5
_FETCH_AGAIN_SECONDS: Final = 2.0
_REMEMBERED: Final = 1_000
#: What a provider publishes is a few keys of half a kilobyte each, some of them with a chain of certificates.
_LARGEST_SET: Final = 256 * 1024
_MOST_KEYS: Final = 100
#: NIST SP 800-131A: shorter RSA keys sign nothing any more.
_SHORTEST_RSA: Final = 2_048
_FOUND: Final = 200
_AWAY: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class KeySet:
    """The keys at one address. While it cannot be reached, those that are known go on being used.

    That ends `trust` after they were fetched for the last time: a key that was withdrawn meanwhile, because
    it was stolen, must not open anything for ever.
    """

    def __init__(self, url: str, trust: timedelta = timedelta(days=1)) -> None:
        self._url = url
        self._trust = trust.total_seconds()
        self._keys: dict[str, Any] = {}
        self._is_known = False
        self._trusted: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[bool] | None = None
        self._waiting = 0
        self._unknown: dict[str, float] = {}
        #: Fetches for unknown keys are paid from here (see `_may_fetch`).
        self._fetches_paid_until = 0.0

    @property
    def keys(self) -> Mapping[str, Any]:
        """The public keys by key id; the mapping itself changes when they do."""
        return self._keys

    @property
    def status(self) -> str:
        """`ok` while there are keys to trust, else `away`: the provider may be so for a time without harm."""
        return "ok" if self._is_known else "away"

    async def start(self) -> None:
        """Fetch the keys for the first time, if the provider is there, and go on in the background."""
        self._task = keep_running(self._run, "key set")
        await asyncio.wait({self._fetch()}, timeout=_START_SECONDS)

    async def close(self) -> None:
        """Stop refreshing."""
        await cancel(self._task)
        await cancel(self._fetching)
        if self._trusted is not None:
            self._trusted.cancel()

    async def find(self, kid: str) -> bool:
        """Ask the provider for a key that is not known. Return whether it is known now.

        Raise UnavailableError while no keys are known at all.
        """
        # A fetch that was under way may have begun before the key was there: then one more.
        for _ in range(2):
            if kid in self._keys or self._waiting >= _MOST_WAITING or not self._may_fetch(kid):
                break
            is_new = self._fetching is None
            has_answered = await self._wait_for(self._fetch())
            if has_answered and is_new and kid not in self._keys:
                self._remember_unknown(kid)
        if not self._is_known:
            raise UnavailableError(f"the key set at {self._url}")
        return kid in self._keys

    async def _wait_for(self, fetching: asyncio.Task[bool]) -> bool:
        """Wait for a fetch, but not for long. Return whether the provider has answered."""
        self._waiting += 1
        try:
            await asyncio.wait({fetching}, timeout=_WAIT_SECONDS)
        finally:
            self._waiting -= 1
        return fetching.done() and not fetching.cancelled() and fetching.result()

    def _may_fetch(self, kid: str) -> bool:
        """Whether a request may wait for a fetch: one that is under way, or another if there were few."""
        now = asyncio.get_running_loop().time()
        if self._unknown.get(kid, now) > now:
            return False
        if self._fetching is None:
            paid_until = max(self._fetches_paid_until, now) + _FETCH_AGAIN_SECONDS
            if paid_until > now + _MOST_FETCHES * _FETCH_AGAIN_SECONDS:
                return False
            self._fetches_paid_until = paid_until
        return True

    def _remember_unknown(self, kid: str) -> None:
        if len(self._unknown) >= _REMEMBERED:
            self._unknown.clear()
        self._unknown[kid] = asyncio.get_running_loop().time() + _UNKNOWN_SECONDS

    async def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await asyncio.wait({self._fetch()})
            if self._is_known:
                pause = _FIRST_PAUSE_SECONDS
                await asyncio.sleep(_REFRESH_SECONDS)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _fetch(self) -> asyncio.Task[bool]:
        """Fetch the keys, in the one task that does so at a time. It says whether that succeeded."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._refresh(), name="key set: fetching")
        return self._fetching

    async def _refresh(self) -> bool:
        try:
            self._take(await self._ask())
        except _AWAY as error:
            log.warning(
                "the key set cannot be fetched; known keys stay in use",
                known=len(self._keys),
                error=f"{type(error).__name__}: {error}",
            )
            return False
        else:
            return True
        finally:
            self._fetching = None

    async def _ask(self) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status != _FOUND:
                raise ValueError(f"it answers {answer.status}")
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > _LARGEST_SET:
                    raise ValueError(f"it is larger than {_LARGEST_SET} bytes")
        return public_keys(orjson.loads(body))

    def _take(self, fetched: dict[str, Any]) -> None:
        # In place: what verifies tokens holds this mapping. A key that is gone is no longer trusted, nor
        # is one that has become another under the same name; one that is the same stays the same object.
        for kid, key in fetched.items():
            if self._keys.get(kid) != key:
                self._keys[kid] = key
        for gone in self._keys.keys() - fetched.keys():
            del self._keys[gone]
        self._is_known = True
        if self._trusted is not None:
            self._trusted.cancel()
        self._trusted = asyncio.get_running_loop().call_later(self._trust, self._distrust)

    def _distrust(self) -> None:
        log.error("the key set could not be fetched for too long; its keys are trusted no more")
        self._keys.clear()
        self._is_known = False


def public_keys(key_set: dict[str, Any]) -> dict[str, Any]:
    """Read a JSON Web Key Set: public keys by key id.

    Left out are keys of unknown kinds, secret ones, those for encryption, RSA keys of less than 2,048 bits.
    Raise ValueError when that leaves none, or it is no key set.
    """
    try:
        if len(key_set["keys"]) > _MOST_KEYS:
            raise ValueError(f"more than {_MOST_KEYS} keys")
        keys = jwt.PyJWKSet.from_dict(key_set).keys
    except (jwt.PyJWTError, AttributeError, TypeError, KeyError) as error:
        raise ValueError("not a JSON Web Key Set with a usable key") from error
    found = {key.key_id: key.key for key in keys if isinstance(key.key_id, str) and _verifies(key)}
    if not found:
        raise ValueError("not a JSON Web Key Set with a usable key")
    return found


def _verifies(key: jwt.PyJWK) -> bool:
    if key.public_key_use not in (None, "sig"):
        return False
    if isinstance(key.key, RSAPublicKey):
        return key.key.key_size >= _SHORTEST_RSA
    return isinstance(key.key, (EllipticCurvePublicKey, Ed25519PublicKey))
