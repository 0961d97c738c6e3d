"""What Ably carries but cannot read: events are encrypted as Ably's SDKs do it, with a key for each session.

https://ably.com/docs/channels/options/encryption: AES-256 in CBC mode with PKCS#7 padding, behind a random
initialisation vector. That hides `data` and proves nothing: so each payload also has a `proof`, a code that
only the service and the two participants can make. Names of events, ids and who is present are not hidden.
"""

from __future__ import annotations

import hmac
import os
from binascii import b2a_base64
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rdchat.common.json import as_json
from rdchat.events import channels
from rdchat.events.outbox_entry import Event, SealedEvent
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import acquire
from rdchat.realtime.ably_client import PublishError
from rdchat.security.encryption import MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.security.encryption import ChannelKeys

_BLOCK: Final = 16
#: Sessions whose cipher is kept at hand, of some two kilobytes each.
_KEPT: Final = 5_000


class EventSealer:
    """Encrypts events with the keys of one channel."""

    __slots__ = ("_code", "_encrypt")

    def __init__(self, keys: ChannelKeys) -> None:
        # Kept, and never finished: to begin one takes longer than to encrypt a message.
        self._encrypt = Cipher(algorithms.AES(keys.cipher), modes.CBC(os.urandom(_BLOCK))).encryptor().update
        self._code = hmac.new(keys.proof, digestmod="sha256")

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt as Ably's SDKs do it.

        A random block goes first: its ciphertext is a vector for what follows that cannot be foreseen.
        """
        padding = _BLOCK - len(plaintext) % _BLOCK
        return self._encrypt(b"".join((os.urandom(_BLOCK), plaintext, bytes((padding,)) * padding)))

    def prove(self, name: str, payload: str) -> str:
        """Make the code of an event, by its name and its payload as JSON text.

        Base64 of an HMAC with SHA-256, of which 16 bytes are enough: many short events fit into one publish.
        """
        code = self._code.copy()
        code.update(f"{name}\n{payload}".encode())
        return b2a_base64(code.digest()[:MAC_BYTES], newline=False).decode()

    def seal(self, event: Event) -> SealedEvent:
        """Encrypt an event for its session's channel, with the proof as the last field of its payload."""
        proven = f'{event.data[:-1]},"proof":"{self.prove(event.name, event.data)}"}}'
        channel = f"{event.channel}{channels.SEALED}"
        return SealedEvent(channel, event.ably_id, event.name, self.encrypt(proven.encode()))


def without_words(event: Event) -> Event:
    """Return a notification without what was written, by people or of them: that is read over HTTP."""
    told = orjson.loads(event.data)
    told["message"] = told["title"]
    told["data"]["reason"] = None
    return Event(event.channel, event.ably_id, event.name, as_json(told).decode())


def _spared(event: Event) -> Event:
    return without_words(event) if event.name == channels.NOTIFICATION else event


class ChannelCipher:
    """Makes of events what is published of them."""

    def __init__(self, pool: Pool, keys: DataKeys) -> None:
        self._pool = pool
        self._keys = keys
        self._sealers: OrderedDict[str, EventSealer] = OrderedDict()

    async def seal(self, groups: Sequence[Sequence[Event]]) -> list[list[Event | SealedEvent]]:
        """Encrypt the groups of chat channels, and take the words out of notifications.

        Raise UnavailableError, and PublishError for good where a session's key does not open.
        """
        sealed: list[list[Event | SealedEvent]] = []
        for group in groups:
            channel = group[0].channel
            sealer = self._sealers.get(channel)
            if sealer is None and (session_id := channels.session_of_chat(channel)) is not None:
                sealer = await self._make_sealer(channel, session_id)
            if sealer is not None:
                self._sealers.move_to_end(channel)
                sealed.append([sealer.seal(event) for event in group])
            else:
                sealed.append([_spared(event) for event in group])
        return sealed

    async def _make_sealer(self, channel: str, session_id: UUID) -> EventSealer:
        encryptor = self._keys.at_hand(KeyOwner(session_id, None))
        if encryptor is None:
            async with acquire(self._pool) as connection:
                found = await self._keys.find(connection, [KeyOwner(session_id, None)])
            if session_id not in found:
                raise PublishError("the key of its session does not open", permanent=True)
            encryptor = found[session_id]
        sealer = self._sealers[channel] = EventSealer(encryptor.channel_keys)
        if len(self._sealers) > _KEPT:
            self._sealers.popitem(last=False)
        return sealer
