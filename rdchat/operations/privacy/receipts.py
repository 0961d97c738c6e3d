"""Receipts of erasures: signed, without personal data, so that they can be given away and kept for good.

A receipt is JSON: what is said, under `receipt`, and the signature (Ed25519) of exactly that, written with
sorted keys and no spaces. Whom it is about is said by a code that only the service can make of their id.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.common.clock import iso
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.security.encryption import context
from rdchat.security.signing import key_id_of, verify

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.erasure import Erasure
    from rdchat.security.encryption import Encryptor

_VERSION: Final = 1
#: What an erasure of a person ends, in words that stay true.
_DESTROYED: Final = (
    "the data keys of the person, and of the sessions and counselings that they had as a client",
    "the name, e-mail address, language and organization that were kept of the person",
    "names, messages and reasons in notifications, webhooks and kept answers",
    "stored files, notes, quick replies, calendar links and the names that apps gave to messages",
)


@dataclass(frozen=True, slots=True)
class CheckedReceipt:
    """What is found of a receipt. `is_own`: it was signed with the key that this service has now."""

    is_valid: bool
    is_own: bool
    key_id: str
    said: dict[str, Any]


def person_reference(service_key: Encryptor, person_id: UUID) -> str:
    """Return the code of a person in receipts. Only the service can tell whether it is someone's."""
    return service_key.mac(context("person in a receipt", person_id)).hex()


def write_receipt(erasure: Erasure, finished_at: datetime, service_key: Encryptor) -> str:
    """Write the receipt of a person's erasure, as JSON."""
    if erasure.person_id is None or erasure.destroyed_at is None:
        raise ValueError("a receipt is of a person's erasure that has destroyed their keys")
    signer = audit_signer(service_key)
    said = {
        "version": _VERSION,
        "erasureId": str(erasure.id),
        "person": person_reference(service_key, erasure.person_id),
        "begunAt": iso(erasure.begun_at),
        "destroyedAt": iso(erasure.destroyed_at),
        "finishedAt": iso(finished_at),
        "counts": dict(erasure.counts),
        "destroyed": list(_DESTROYED),
        "keyId": signer.key_id,
    }
    signature = signer.sign(_signed(said))
    return orjson.dumps(
        {
            "receipt": said,
            "signature": base64.b64encode(signature).decode(),
            "publicKey": base64.b64encode(signer.public_key).decode(),
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
    ).decode()


def check_receipt(text: str | bytes, own_public_key: bytes | None) -> CheckedReceipt:
    """Check the signature of a receipt. Raise ValueError for what is no receipt."""
    try:
        content = orjson.loads(text)
        said, signature = content["receipt"], base64.b64decode(content["signature"], validate=True)
        public_key = base64.b64decode(content["publicKey"], validate=True)
        key_id = said["keyId"]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ValueError("This is no receipt of an erasure.") from error
    is_valid = key_id == key_id_of(public_key) and verify(public_key, _signed(said), signature)
    return CheckedReceipt(is_valid, is_valid and public_key == own_public_key, key_id, said)


def _signed(said: Any) -> bytes:  # noqa: ANN401 - JSON
    return b"rdchat erasure receipt\n" + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
