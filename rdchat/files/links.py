"""Short-lived links to attachments, for those who cannot send a token: an `<img>`, a browser that downloads.

A link's token is, in base64url, the instant of its expiry in seconds (8 bytes), the person's id (16 bytes)
and an HMAC-SHA-256 over the attachment's id and these. The key is derived (HKDF, RFC 5869) from the key that
encrypts: every replica checks what any other has signed, and no further secret has to be kept.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rdchat.common.clock import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rdchat.common.clock import Clock

LIFETIME: Final = timedelta(minutes=5)
_PURPOSE: Final = b"rdchat: links to attachments"
_EXPIRY_BYTES: Final = 8
_CLAIM_BYTES: Final = _EXPIRY_BYTES + 16
_TOKEN_BYTES: Final = _CLAIM_BYTES + 32


@dataclass(frozen=True, slots=True)
class Link:
    """What opens one attachment for one person until `expires_at`, at the service of that address."""

    token: str
    expires_at: datetime
    base_url: str


class Links:
    """Signs with the first of the encryption keys, and verifies with all of them.

    `base_url` is how clients reach the service.
    """

    def __init__(self, encryption_keys: Iterable[bytes], clock: Clock, *, base_url: str = "") -> None:
        self._base_url = base_url
        self._keys = [_derived(key) for key in encryption_keys]
        self._clock = clock

    def sign(self, attachment_id: UUID, person_id: UUID) -> Link:
        """Make a link."""
        # To the whole second, which is what the token says.
        seconds = to_ms(self._clock.now() + LIFETIME) // 1000
        claim = seconds.to_bytes(_EXPIRY_BYTES, "big") + person_id.bytes
        signed = claim + _mac(self._keys[0], attachment_id, claim)
        token = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        return Link(token, from_ms(seconds * 1000), self._base_url)

    def verify(self, token: str, attachment_id: UUID) -> UUID | None:
        """Return for whom a link was signed; None if it is not valid for this attachment, or has expired."""
        try:
            signed = base64.b64decode(f"{token}{'=' * (-len(token) % 4)}", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(signed) != _TOKEN_BYTES:
            return None
        claim, mac = signed[:_CLAIM_BYTES], signed[_CLAIM_BYTES:]
        # All keys are tried, even after one fits.
        fits = [hmac.compare_digest(mac, _mac(key, attachment_id, claim)) for key in self._keys]
        seconds = int.from_bytes(claim[:_EXPIRY_BYTES], "big")
        if not any(fits) or self._clock.ms() >= seconds * 1000:
            return None
        return UUID(bytes=claim[_EXPIRY_BYTES:])


def _derived(key: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key)


def _mac(key: bytes, attachment_id: UUID, claim: bytes) -> bytes:
    return hmac.digest(key, attachment_id.bytes + claim, "sha256")
