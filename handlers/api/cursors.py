"""Pages of lists that are in the order of an instant, and their cursors: where the next page goes on."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from rdchat.common.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def cut(
    found: Sequence[T], limit: int, place: Callable[[T], tuple[datetime, UUID]]
) -> tuple[Sequence[T], str | None]:
    """Cut a page of `limit` out of what was found, and make the cursor of the next one, if there is more.

    One more than the page has to be looked for. `place` gives the instant and the id of a row.
    """
    shown = found[:limit]
    return shown, write(*place(shown[-1])) if len(found) > limit else None


def write(starts_at: datetime, row_id: UUID) -> str:
    """Make the cursor that goes on behind a row."""
    return base64.urlsafe_b64encode(f"{starts_at.isoformat()}|{row_id}".encode()).decode()


def read(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Read a cursor: the start and the id of the last row that was seen. None: from the beginning.

    Raise RdchatError (VALIDATION_FAILED).
    """
    if cursor is None:
        return None
    try:
        start, _, row_id = base64.urlsafe_b64decode(cursor).decode().partition("|")
        position = datetime.fromisoformat(start).astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise invalid("cursor", "Not a cursor of this list.") from error
    return position
