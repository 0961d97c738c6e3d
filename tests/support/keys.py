"""Data keys in tests: those of a service that tests start, and what is encrypted with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.common.clock import SystemClock
from rdchat.common.telemetry import Metrics
from rdchat.domain.message import MessageType
from rdchat.postgres import messages, names, schedule
from rdchat.postgres.data_keys import DataKeys, KeyOwner, person_owner
from rdchat.security.encryption import KeyRing
from tests.support.service import ENCRYPTION_KEY

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.postgres.pool import Pool


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


async def read_person(pool: Pool, person_id: UUID) -> dict[str, Any]:
    """Read a person's row, with the name and the address that are sealed in it."""
    keys = data_keys()
    row = await pool.fetchrow("SELECT * FROM people WHERE id = $1", person_id)
    assert row is not None
    async with pool.acquire() as acquired:
        encryptor = await keys.get(acquired, person_owner(person_id))
    name = names.open_name(keys, encryptor, person_id, row["sealed_name"])
    email = names.open_email(keys, encryptor, person_id, row["sealed_email"])
    return dict(row) | {"full_name": name, "email": email}


async def reassign_row(connection: Any, counseling_id: UUID, psychologist_id: UUID) -> None:
    """Give a counselling without chat to another psychologist, as the service does, in a transaction."""
    row = await connection.fetchrow(
        "SELECT client_id, psychologist_id FROM counselings WHERE id = $1", counseling_id
    )
    owner = KeyOwner(counseling_id, (row["client_id"], row["psychologist_id"]))
    await schedule.reassign_counseling(
        connection, owner, psychologist_id, "Asia/Jakarta", SystemClock().now(), keys=data_keys()
    )
