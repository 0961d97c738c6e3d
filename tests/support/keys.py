"""Data keys in tests: those of a service that tests start, and what is encrypted with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.common.telemetry import Metrics
from rdchat.domain.message import MessageType
from rdchat.postgres import messages
from rdchat.postgres.data_keys import DataKeys, KeyOwner
from rdchat.security.encryption import KeyRing
from tests.support.service import ENCRYPTION_KEY

if TYPE_CHECKING:
    from uuid import UUID


def data_keys() -> DataKeys:
    """The data keys of a database whose service has the settings of `service_settings`."""
    return DataKeys(KeyRing({"test": ENCRYPTION_KEY}), Metrics())


async def read_texts(connection: Any) -> dict[UUID, str]:
    """Decrypt and verify all messages of a database: texts by message id."""
    rows = await connection.fetch(messages.MESSAGE)
    owners = {KeyOwner(row["session_id"], (row["client_id"], row["psychologist_id"])) for row in rows}
    read = await messages.verified(connection, owners, rows, data_keys())
    altered = [message.id for message in read if message.message_type is MessageType.SYSTEM]
    assert not altered, f"messages that are not as they were written: {altered}"
    return {message.id: message.text for message in read}
