"""The rules for clients, to the millisecond: exactly at the limit is allowed, and others are not bound."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import pytest

from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.booking_rules import BookingRules
from rdchat.domain.person import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.domain.booking import Slot
    from rdchat.domain.counseling import Counseling

NOW = datetime(2030, 1, 15, 7, tzinfo=UTC)
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)
RULES = BookingRules(notice=2 * HOUR, cancel_deadline=24 * HOUR, max_pending=3)
NO_RULES = BookingRules(notice=timedelta(0), cancel_deadline=timedelta(0), max_pending=3)
CLIENTS = (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)
OTHERS = (Role.PSYCHOLOGIST, Role.SUPER_ADMIN)


class Span:
    """As much of a slot as the rules look at."""

    def __init__(self, starts_at: datetime, lasts: timedelta = HOUR) -> None:
        self.starts_at, self.ends_at = starts_at, starts_at + lasts


class Booked:
    """As much of a counselling as the rules look at."""

    def __init__(self, starts_at: datetime, status: str = "pending") -> None:
        self.slot, self.status = Span(starts_at), status


def span(starts_at: datetime, lasts: timedelta = HOUR) -> Slot:
    return cast("Slot", Span(starts_at, lasts))


def booked(starts_at: datetime, status: str = "pending") -> Counseling:
    return cast("Counseling", Booked(starts_at, status))


def caller(role: Role) -> Caller:
    return Caller(uuid4(), role, "Orang")


def refusal(attempt: Callable[[], None]) -> tuple[ErrorCode, str]:
    with pytest.raises(RdchatError) as caught:
        attempt()
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("role", CLIENTS)
def test_a_client_books_until_the_notice_begins(role: Role) -> None:
    limit = NOW + RULES.notice
    RULES.check_booking(caller(role), span(limit), NOW)
    RULES.check_booking(caller(role), span(limit + HOUR), NOW)
    late = span(limit - MILLISECOND)
    assert refusal(partial(RULES.check_booking, caller(role), late, NOW)) == (
        ErrorCode.TOO_LATE,
        f"This time could be booked until {iso(NOW - MILLISECOND)}",
    )


@pytest.mark.parametrize("role", CLIENTS)
@pytest.mark.parametrize("status", ["pending", "active"])
def test_a_client_cancels_until_the_deadline(role: Role, status: str) -> None:
    limit = NOW + RULES.cancel_deadline
    RULES.check_cancelling(caller(role), booked(limit, status), NOW)
    for starts_at in (limit - MILLISECOND, NOW, NOW - HOUR):
        late = booked(starts_at, status)
        assert refusal(partial(RULES.check_cancelling, caller(role), late, NOW)) == (
            ErrorCode.TOO_LATE,
            f"The counseling could be cancelled until {iso(starts_at - RULES.cancel_deadline)}",
        )


@pytest.mark.parametrize("role", CLIENTS)
def test_a_client_moves_until_the_deadline_to_a_time_that_has_the_notice(role: Role) -> None:
    person, limit, nearest = caller(role), NOW + RULES.cancel_deadline, NOW + RULES.notice
    RULES.check_moving(person, booked(limit), span(nearest), NOW)
    late, near = booked(limit - MILLISECOND), span(nearest - MILLISECOND)
    expected = f"The counseling could be moved until {iso(NOW - MILLISECOND)}"
    for wanted in (span(limit + HOUR), near, span(late.slot.starts_at, 2 * HOUR)):
        found = refusal(partial(RULES.check_moving, person, late, wanted, NOW))
        assert found == (ErrorCode.TOO_LATE, expected)
    assert refusal(partial(RULES.check_moving, person, booked(limit), near, NOW)) == (
        ErrorCode.TOO_LATE,
        f"The counseling could be moved to this time until {iso(NOW - MILLISECOND)}",
    )


def test_to_the_time_that_it_has_is_no_move() -> None:
    RULES.check_moving(caller(Role.CLIENT), booked(NOW + HOUR), span(NOW + HOUR), NOW)


def test_what_the_state_forbids_is_left_to_the_state() -> None:
    client = caller(Role.CLIENT)
    for status in ("completed", "cancelled"):
        RULES.check_cancelling(client, booked(NOW, status), NOW)
    for status in ("active", "completed", "cancelled"):
        RULES.check_moving(client, booked(NOW, status), span(NOW), NOW)


@pytest.mark.parametrize("role", OTHERS)
def test_others_are_not_bound(role: Role) -> None:
    person, soon = caller(role), booked(NOW + MILLISECOND)
    RULES.check_booking(person, span(NOW + MILLISECOND), NOW)
    RULES.check_cancelling(person, soon, NOW)
    RULES.check_moving(person, soon, span(NOW + 2 * MILLISECOND), NOW)


def test_a_rule_of_zero_seconds_is_none() -> None:
    client, begun = caller(Role.CLIENT), booked(NOW - HOUR)
    NO_RULES.check_booking(client, span(NOW + MILLISECOND), NOW)
    NO_RULES.check_cancelling(client, begun, NOW)
    NO_RULES.check_moving(client, begun, span(NOW + MILLISECOND), NOW)


def test_each_rule_is_asked_by_itself() -> None:
    client = caller(Role.CLIENT)
    only_notice = replace(RULES, cancel_deadline=timedelta(0))
    only_notice.check_moving(client, booked(NOW + MILLISECOND), span(NOW + RULES.notice), NOW)
    only_deadline = replace(RULES, notice=timedelta(0))
    only_deadline.check_moving(client, booked(NOW + RULES.cancel_deadline), span(NOW + MILLISECOND), NOW)


def test_one_more_is_booked_below_the_limit_only() -> None:
    for pending in range(3):
        RULES.check_pending(pending)
    for pending in (3, 4, 1000):
        assert refusal(partial(RULES.check_pending, pending)) == (
            ErrorCode.PENDING_LIMIT,
            "You have too many counselings ahead",
        )
