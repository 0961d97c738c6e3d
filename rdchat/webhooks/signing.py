"""Signatures as Standard Webhooks has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: HMAC-SHA256 over
`id.timestamp.body`, in base64, behind `v1,`; several signatures are separated by spaces, one per secret, so
that a receiver who knows only the old or only the new one of two can verify.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from rdchat.common.clock import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID


def signed_headers(
    secrets: Sequence[bytes], delivery_id: UUID, sent_at: datetime, body: bytes
) -> dict[str, str]:
    """Make the three headers of an attempt. `sent_at` is its own: receivers refuse old ones."""
    seconds = to_ms(sent_at) // 1000
    signed = f"{delivery_id}.{seconds}.".encode() + body
    return {
        "webhook-id": str(delivery_id),
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return f"v1,{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"
