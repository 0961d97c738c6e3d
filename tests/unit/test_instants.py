"""Instants as clients see them: UTC, milliseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rdchat.common.clock import iso

_SECOND = datetime(2027, 3, 1, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        (_SECOND, "2027-03-01T07:08:09.000Z"),
        (_SECOND.replace(microsecond=1), "2027-03-01T07:08:09.000Z"),
        (_SECOND.replace(microsecond=45_999), "2027-03-01T07:08:09.045Z"),
        (_SECOND.replace(microsecond=999_999), "2027-03-01T07:08:09.999Z"),
        (_SECOND.astimezone(timezone(timedelta(hours=7))), "2027-03-01T07:08:09.000Z"),
        (_SECOND.replace(year=987), "0987-03-01T07:08:09.000Z"),
    ],
)
def test_they_have_one_form(instant: datetime, shown: str) -> None:
    assert iso(instant) == shown
