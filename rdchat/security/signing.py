"""Signatures that anyone can check who has the public key: Ed25519 (RFC 8032)."""

from __future__ import annotations

from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer:
    """Signs with the key that a seed of 32 bytes gives."""

    __slots__ = ("_key", "key_id", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        #: 32 bytes.
        self.public_key: bytes = self._key.public_key().public_bytes_raw()
        #: Says which key it was, in 16 characters.
        self.key_id: str = key_id_of(self.public_key)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of 64 bytes."""
        return self._key.sign(data)


def key_id_of(public_key: bytes) -> str:
    """Return the name of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def verify(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether a signature is that of the data by the owner of a public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
