"""Encryption at rest: AES-256-GCM with a data key for each session, counselling and person.

Data keys are random, and stored wrapped: encrypted with a key of the ring (RDCHAT_ENCRYPTION_KEYS), which no
store holds. So the ring can be changed by wrapping the data keys again, and what one key protects can be
destroyed with it.

Every encrypted value is bound to a context that says what it is and where it belongs: its purpose, its row,
who said it. A value that is moved, copied or given another meaning does not decrypt.
"""

from __future__ import annotations

import hmac
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Before each encrypted value, for the day when another form is needed.
_FORM: Final = b"\x01"
_NONCE_BYTES: Final = 12
_START: Final = len(_FORM) + _NONCE_BYTES
KEY_BYTES: Final = 32
#: A code this long cannot be guessed, and a row of a message has one.
MAC_BYTES: Final = 16


class DecryptionError(Exception):
    """An encrypted value cannot be decrypted: another key or context, or changed bytes."""


class UnknownRingKeyError(Exception):
    """A data key is wrapped with a key that the ring does not have. `kid` names it."""

    def __init__(self, kid: str) -> None:
        super().__init__(f"RDCHAT_ENCRYPTION_KEYS does not have the key {kid!r}")
        self.kid = kid


def context(purpose: str, *parts: UUID | int | str | None) -> bytes:
    """Say what a value is and where it belongs, so that no two different answers give the same bytes."""
    encoded = [purpose.encode(), b"\0"]
    for part in parts:
        # asyncpg has a UUID class of its own, which is one of these as well.
        if isinstance(part, UUID):
            encoded += (b"u", part.bytes)
        elif isinstance(part, str):
            text = part.encode()
            encoded += (b"s%d:" % len(text), text)
        elif part is None:
            encoded.append(b"-")
        else:
            encoded.append(b"i%d;" % part)
    return b"".join(encoded)


class ChannelKeys(NamedTuple):
    """The keys of a channel, of 32 bytes: `cipher` encrypts what is published, `proof` says who wrote it."""

    cipher: bytes
    proof: bytes


class Encryptor:
    """Encrypts and authenticates with one data key of 32 bytes."""

    __slots__ = ("_cipher", "_mac_key", "_realtime")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derived(key, b"rdchat values"))
        self._mac_key = _derived(key, b"rdchat codes")
        self._realtime = blake2b(b"rdchat realtime", key=key, digest_size=2 * KEY_BYTES).digest()

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt `plaintext` for `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, plaintext, context)

    def encrypt_alike(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt `plaintext` for `context` so that the same text of the same context gives the same bytes.

        The nonce is a code of both: without the key, all that shows is whether a text has changed.
        """
        nonce = self.mac(b"".join((b"nonce\0", len(context).to_bytes(4), context, plaintext)))[:_NONCE_BYTES]
        return _FORM + nonce + self._cipher.encrypt(nonce, plaintext, context)

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes:
        """Return the plaintext. Raise DecryptionError."""
        if encrypted[:1] != _FORM:
            raise DecryptionError("of a form that is not known")
        try:
            return self._cipher.decrypt(encrypted[1:_START], encrypted[_START:], context)
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("changed, or of another context") from error

    @property
    def channel_keys(self) -> ChannelKeys:
        """The keys for what is published. Participants are given them: they open nothing that is stored."""
        return ChannelKeys(self._realtime[:KEY_BYTES], self._realtime[KEY_BYTES:])

    def mac(self, context: bytes) -> bytes:
        """Return the code of 16 bytes that only those can make who have the key."""
        # The keyed mode of RFC 7693, which takes a quarter of the time of HMAC here.
        return blake2b(context, key=self._mac_key, digest_size=MAC_BYTES).digest()

    def has_mac(self, mac: bytes | None, context: bytes) -> bool:
        """Tell whether a code is the one of a context."""
        return mac is not None and hmac.compare_digest(mac, self.mac(context))

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for another purpose, which says nothing of this one."""
        return blake2b(b"derived\0" + purpose.encode(), key=self._mac_key, digest_size=KEY_BYTES).digest()


class KeyRing:
    """The keys that wrap data keys: `keys` maps a key id to 32 bytes. The first one wraps, all unwrap."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._wrapping = {kid: AESGCM(_derived(key, b"rdchat data keys")) for kid, key in keys.items()}
        self._checks = {kid: _derived(key, b"rdchat key check")[:MAC_BYTES] for kid, key in keys.items()}
        self.current = next(iter(self._wrapping))

    @property
    def kids(self) -> list[str]:
        """The ids of the keys, the one that wraps first."""
        return list(self._wrapping)

    def check_value(self, kid: str) -> bytes:
        """Return what tells a key from any other of its name, without giving it away."""
        return self._checks[kid]

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Encrypt a data key with the current key, for whom `context` says."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping[self.current].encrypt(nonce, data_key, context)

    def unwrap(self, kid: str, wrapped: bytes, context: bytes) -> bytes:
        """Return a data key. Raise UnknownRingKeyError, or DecryptionError."""
        cipher = self._wrapping.get(kid)
        if cipher is None:
            raise UnknownRingKeyError(kid)
        try:
            return cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("not the data key of this owner, or changed") from error


def new_data_key() -> bytes:
    """Make a data key."""
    return os.urandom(KEY_BYTES)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return blake2b(purpose, key=key, digest_size=KEY_BYTES).digest()
