"""What a query chooses: a span of time, a part of the counsellings."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from handlers.api import cursors
from rdchat.common.errors import invalid
from rdchat.domain.availability import to_instant
from rdchat.domain.booking import zone
from rdchat.domain.counseling import CounselingFilter

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo


def read_part(asked: dict[str, Any], of: str) -> CounselingFilter:
    """Read which counsellings a list is asked for, and one more: it tells whether there are further ones.

    `of` is the list, as its cursors name it. Raise RdchatError (VALIDATION_FAILED).
    """
    since, until = read_span(asked)
    return CounselingFilter(
        status=asked["status"],
        since=since,
        until=until,
        before=cursors.read(asked["cursor"], of),
        limit=asked["limit"] + 1,
        client_id=asked["client_id"],
        psychologist_id=asked["psychologist_id"],
        organization_id=asked["organization_id"],
    )


def read_span(asked: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Read `from` and `to` of a query, with days in its `timezone`: a day's end is that of `to`.

    Raise RdchatError (VALIDATION_FAILED).
    """
    tz = zone(asked["timezone"])
    return _moment(asked["since"], tz, "from"), _moment(asked["until"], tz, "to", days=1)


def _moment(asked: date | None, tz: ZoneInfo, field: str, *, days: int = 0) -> datetime | None:
    """Return the instant that was asked for, or the one at which the day of it, or a later one, begins."""
    if asked is None or isinstance(asked, datetime):
        return asked
    try:
        return to_instant(asked + timedelta(days=days), time(0), tz)
    except OverflowError as error:
        raise invalid(field, "Too far from now.") from error
