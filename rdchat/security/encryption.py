"""Encryption at rest: AES-256-GCM over what people say, with keys that can be rotated.

An encrypted value is `length of kid (1 byte) | kid | nonce (12 bytes) | ciphertext and tag`. The
context a value belongs to (its session, for instance) is authenticated with it, so that a row copied
elsewhere cannot be decrypted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

_NONCE_BYTES = 12


class DecryptionError(Exception):
    """An encrypted value cannot be decrypted: unknown key, other context, or changed bytes."""


class Encryptor:
    """Encrypts with the first key, decrypts with all of them. `keys` maps a key id to 32 bytes."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {kid.encode(): AESGCM(key) for kid, key in keys.items()}
        kid = next(iter(self._ciphers))
        self._cipher = self._ciphers[kid]
        self._head = bytes([len(kid)]) + kid

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt `plaintext` for `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, plaintext, context)

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes:
        """Return the plaintext. Raise DecryptionError."""
        start = 1 + encrypted[0]
        cipher = self._ciphers.get(encrypted[1:start])
        if cipher is None:
            raise DecryptionError("encrypted with a key that RDCHAT_ENCRYPTION_KEYS does not name")
        try:
            return cipher.decrypt(
                encrypted[start : start + _NONCE_BYTES], encrypted[start + _NONCE_BYTES :], context
            )
        except InvalidTag as error:
            raise DecryptionError("changed, or of another context") from error
