"""Pages of lists, and their cursors: texts that say of which list they are, and behind what it goes on.

A cursor is a place, not a permission: one that was made up leads no further than the list itself does.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import orjson

from rdchat.common.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rdchat.common.errors import RdchatError

T = TypeVar("T")

#: The lists, as their cursors name them.
SESSIONS_BY_START: Final = "sessions"
SESSIONS_BY_ACTIVITY: Final = "sessions by activity"
OVERSEEN_SESSIONS: Final = "overseen sessions"
COUNSELINGS: Final = "counselings"
NOTIFICATIONS: Final = "notifications"
PSYCHOLOGISTS: Final = "psychologists"
DEAD_LETTERS: Final = "dead letters"
DEAD_WEBHOOKS: Final = "dead webhooks"
OPERATOR_ACTIONS: Final = "operator actions"
AUDIT: Final = "audit"
SESSION_READERS: Final = "session readers"
_HISTORY: Final = "history"
_LARGEST_SEQ: Final = 2**53


def cut(
    found: Sequence[T], limit: int, of: str, place: Callable[[T], tuple[datetime | str, UUID]]
) -> tuple[Sequence[T], str | None]:
    """Cut a page of `limit` out of what was found, and make the cursor of the next one, if there is more.

    One more than the page has to be looked for. `place` gives what the list is ordered by - an instant or a
    name - and the id of a row.
    """
    shown = found[:limit]
    if len(found) <= limit:
        return shown, None
    key, row_id = place(shown[-1])
    return shown, _write(of, key.isoformat() if isinstance(key, datetime) else key, str(row_id))


def read(cursor: str | None, of: str) -> tuple[datetime, UUID] | None:
    """Read the cursor of a list in the order of an instant: that of the last row that was seen, and its id.

    None: from the beginning. Raise RdchatError (VALIDATION_FAILED).
    """
    if cursor is None:
        return None
    try:
        instant, row_id = _read(cursor, of)
        found = datetime.fromisoformat(instant)
        place = found.astimezone(UTC), UUID(row_id)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _refused() from error
    if found.tzinfo is None:
        raise _refused()
    return place


def read_name(cursor: str | None, of: str) -> tuple[str, UUID] | None:
    """Read the cursor of a list in the order of a name. Like `read`."""
    if cursor is None:
        return None
    try:
        name, row_id = _read(cursor, of)
        place = name, UUID(row_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise _refused() from error
    if not isinstance(name, str) or "\0" in name:  # which PostgreSQL does not take
        raise _refused()
    return place


def write_seq(session_id: UUID, way: str, seq: int) -> str:
    """Make the cursor of a session's history that goes on `before` or `after` a message."""
    return _write(_HISTORY, str(session_id), way, seq)


def read_seq(cursor: str, session_id: UUID) -> dict[str, int]:
    """Read the cursor of a session's history: `before` or `after`, and a seq.

    Raise RdchatError (VALIDATION_FAILED), also for the cursor of another session.
    """
    try:
        of, way, seq = _read(cursor, _HISTORY)
    except (ValueError, TypeError) as error:
        raise _refused() from error
    is_seq = type(seq) is int and 0 <= seq <= _LARGEST_SEQ
    if of != str(session_id) or way not in ("before", "after") or not is_seq:
        raise _refused()
    return {way: seq}


def _write(*parts: str | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def _read(cursor: str, of: str) -> list[Any]:
    """Return what follows the name of the list. Raise ValueError for what `_write` does not make."""
    found = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    # Decoding overlooks what does not belong there.
    if not isinstance(found, list) or found[:1] != [of] or _write(*found) != cursor:
        raise ValueError(cursor)
    return found[1:]


def _refused() -> RdchatError:
    return invalid("cursor", "Not a cursor of this list.")
