"""Cursors of lists that are in the order of their starts: where the next page goes on."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from uuid import UUID

from rdchat.errors import invalid


def write(starts_at: datetime, row_id: UUID) -> str:
    """Make the cursor that goes on behind a row."""
    return base64.urlsafe_b64encode(f"{starts_at.isoformat()}|{row_id}".encode()).decode()


def read(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Read a cursor: the start and the id of the last row that was seen. None: from the beginning.

    Raises RdchatError (VALIDATION_FAILED).
    """
    if cursor is None:
        return None
    try:
        start, _, row_id = base64.urlsafe_b64decode(cursor).decode().partition("|")
        position = datetime.fromisoformat(start).astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise invalid("cursor", "Not a cursor of this list.") from error
    return position
