"""Rules that bind clients only: until when they book, move and cancel, how many counsellings lie ahead.

A rule of zero seconds is none. Psychologists and administrators are not bound, not even an administrator who
books for themselves: it is they who make exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from rdchat.domain.booking import Slot
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller

_NOT_OVER: Final = frozenset({"pending", "active"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRules:
    """How long before the start a client books, moves and cancels at the latest; how many may lie ahead."""

    notice: timedelta
    cancel_deadline: timedelta
    max_pending: int

    def earliest_start(self, caller: Caller, now: datetime) -> datetime:
        """Return the earliest start that the caller may still book or move to; no rule: now."""
        return now + self.notice if permissions.is_client(caller) else now

    def check_booking(self, caller: Caller, slot: Slot, now: datetime) -> None:
        """See that a booking comes early enough. Raise RdchatError (TOO_LATE)."""
        if permissions.is_client(caller):
            _check(slot.starts_at, self.notice, now, "This time could be booked")

    def check_cancelling(self, caller: Caller, counseling: Counseling, now: datetime) -> None:
        """See that a cancellation comes early enough. Raise RdchatError (TOO_LATE).

        What is over is not looked at: that it cannot be cancelled is said elsewhere. An open chat is inside
        the deadline, if there is one: a client ends it instead.
        """
        if permissions.is_client(caller) and counseling.status in _NOT_OVER:
            _check(counseling.slot.starts_at, self.cancel_deadline, now, "The counseling could be cancelled")

    def check_moving(self, caller: Caller, counseling: Counseling, slot: Slot, now: datetime) -> None:
        """See that a move comes early enough, for the old start and the new. Raise RdchatError (TOO_LATE).

        What has begun or is over is not looked at: that it cannot be moved is said elsewhere.
        """
        if not permissions.is_client(caller) or counseling.status != "pending":
            return
        booked = counseling.slot
        if (slot.starts_at, slot.ends_at) == (booked.starts_at, booked.ends_at):
            # No move, but perhaps a request that is sent again.
            return
        _check(booked.starts_at, self.cancel_deadline, now, "The counseling could be moved")
        _check(slot.starts_at, self.notice, now, "The counseling could be moved to this time")

    def check_pending(self, pending: int) -> None:
        """See that a client who has so many counsellings ahead may book one more.

        Raise RdchatError (PENDING_LIMIT).
        """
        if pending >= self.max_pending:
            raise RdchatError(ErrorCode.PENDING_LIMIT)


def _check(starts_at: datetime, ahead: timedelta, now: datetime, possible: str) -> None:
    """See that an instant is at least so far away; exactly so far is enough."""
    until = starts_at - ahead
    if ahead and now > until:
        raise RdchatError(ErrorCode.TOO_LATE, f"{possible} until {iso(until)}")
