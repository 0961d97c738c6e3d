"""A participant's phone: the genuine Ably SDK, subscribed to the three channels that a token allows.

Facts about the SDK (ably 3.1) that shape it: the realtime client ignores `port`, so the port goes into the
endpoint, with a slash behind it; closing it while it connects is noisy; it logs what it survives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from base64 import b64decode
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ably
import orjson
from ably import AblyException, AblyRealtime
from ably.types.tokendetails import TokenDetails
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rdchat.events import channels, payloads
from rdchat.local.demo.evidence import Heard, Witness
from rdchat.local.demo.person import UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rdchat.common.clock import Clock
    from rdchat.local.demo.person import Person

_CONNECT_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 4.0
_BLOCK: Final = 16


def hush(loop: asyncio.AbstractEventLoop) -> None:
    """Keep the SDK's logs off the screen: what matters of them is in the verdict."""
    logging.getLogger("ably").setLevel(logging.CRITICAL)

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        # Tasks that the SDK forgets when its connection is lost.
        if code is None or Path(ably.__file__).parent not in Path(code.co_filename).parents:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


@asynccontextmanager
async def _bounded(what: str, seconds: float) -> AsyncIterator[None]:
    """Limit a wait that would take the SDK two minutes, and name what failed."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (AblyException, TimeoutError) as error:
        raise UnexpectedAnswerError(f"{what} with the Ably SDK failed: {error!r}") from error


def decrypted(data: bytes, cipher_key: str) -> Any:  # noqa: ANN401 - JSON
    """Read an encrypted payload, as the SDK does with its extra `crypto`, which serving needs not."""
    vector, encrypted = data[:_BLOCK], data[_BLOCK:]
    decryptor = Cipher(algorithms.AES(b64decode(cipher_key)), modes.CBC(vector)).decryptor()
    padded = decryptor.update(encrypted) + decryptor.finalize()
    return orjson.loads(padded[: -padded[-1]])


class Listener:
    """Listens for one person. What it hears goes to `witness`; `hook` is called with each event."""

    def __init__(self, person: Person, session_id: str, clock: Clock, hook: Callable[[Heard], None]) -> None:
        self.person = person
        self.witness = Witness(person.name, person.id)
        self._session_id = session_id
        self._clock = clock
        self._hook = hook
        self._news = asyncio.Event()
        self._ably: Any = None
        self._chat: Any = None
        self._typing: Any = None
        self._cipher_key: str | None = None

    async def open(self) -> None:
        """Connect and subscribe: before the chat opens, that is all that a token allows.

        Raise UnexpectedAnswerError when that does not work.
        """
        access = await self._access()
        options = access["clientOptions"]
        self._ably = AblyRealtime(
            auth_callback=self._token,
            endpoint=f"{options['endpoint']}:{options['port']}/",
            tls=options["tls"],
        )
        self._cipher_key = access.get("cipherKey")
        self._chat = self._ably.channels.get(access["channelName"])
        self._typing = self._ably.channels.get(access["typingChannelName"])
        notifications = self._ably.channels.get(access["notificationChannelName"])
        async with _bounded("subscribing", _CONNECT_SECONDS):
            await self._ably.connection.once_async("connected")
            for channel in (self._chat, self._typing, notifications):
                await channel.subscribe(self._hear)

    async def take_part(self) -> None:
        """Get the token of an open chat, and enter the presence set of its channel.

        Raise UnexpectedAnswerError when that does not work.
        """
        async with _bounded("entering", _ANSWER_SECONDS):
            await self._ably.auth.authorize()
            # Of presence only the clientId counts, and data that is plain Ably would read.
            await self._chat.presence.enter({})

    async def look_around(self) -> None:
        """Note who is present."""
        async with _bounded("asking who is present", _ANSWER_SECONDS):
            members = await self._chat.presence.get()
        self.witness.present = sorted(member.client_id for member in members)

    async def publish_uninvited(self) -> str:
        """Try to publish on the chat channel, bypassing the service. Return Ably's answer."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._chat.publish(channels.MESSAGE, {"content": "Saya bukan server."})
        except AblyException as error:
            return f"Ably error {error.code}"
        except TimeoutError:
            return "no answer"
        return "published"

    async def type(self, *, is_typing: bool) -> None:
        """Signal to the other that this person types, from phone to phone."""
        data = payloads.typing_data(self.person.caller.id, is_typing=is_typing, at=self._clock.now())
        async with _bounded("publishing", _ANSWER_SECONDS):
            await self._typing.publish(channels.TYPING, data)

    async def until(self, seen: Callable[[Witness], object], within: float) -> None:
        """Wait until this has been heard; not longer than `within` seconds: the verdict will show it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not seen(self.witness):
                    self._news.clear()
                    await self._news.wait()

    async def close(self) -> None:
        """Leave, and close the connection; within a limit, for the service may be gone."""
        if self._ably is None:
            return
        with contextlib.suppress(AblyException, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._ably.connection.state == "connected":
                    await self._chat.presence.leave()
                await self._ably.close()

    def _hear(self, message: Any) -> None:  # noqa: ANN401 - the SDK has no types
        data = message.data
        if isinstance(data, bytes | bytearray) and self._cipher_key is not None:
            data = decrypted(bytes(data), self._cipher_key)
        heard = Heard(message.name, data, message.client_id, self._clock.now())
        self.witness.heard.append(heard)
        self._news.set()
        self._hook(heard)

    async def _token(self, _params: object) -> TokenDetails:
        access = await self._access()
        # Not the token alone: the SDK then knows no clientId of it, and refuses to renew by it.
        return TokenDetails(access["token"], client_id=access["clientId"])

    async def _access(self) -> dict[str, Any]:
        access: dict[str, Any] = await self.person.must("GET", "/chat/ably-token", sessionId=self._session_id)
        return access
