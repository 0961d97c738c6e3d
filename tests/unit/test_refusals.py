"""Why callers were refused, in words that are few: whatever they send, no metric grows by it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from handlers.http.refusals import Refusals
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.telemetry import Metrics
from rdchat.security.refusals import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RdchatError(ErrorCode.UNAUTHENTICATED), "other"),
        (RdchatError(ErrorCode.UNAUTHENTICATED, reason="revoked"), "revoked"),
        (RdchatError(ErrorCode.FORBIDDEN), "forbidden"),
        (RdchatError(ErrorCode.NOT_PARTICIPANT), "not_participant"),
    ],
)
def test_a_reason_is_what_the_error_says_or_its_code(error: RdchatError, reason: str) -> None:
    assert reason_of(error) == reason


def test_claims_that_are_none_are_told_from_other_faults() -> None:
    error = RdchatError(ErrorCode.UNAUTHENTICATED)
    error.__cause__ = ValueError("fullName")
    assert reason_of(error) == "claims"


def test_lines_that_were_left_out_are_counted_in_the_next() -> None:
    now = [0.0]
    refusals = Refusals(Metrics(), lambda: now[0], lambda _: None)

    def refuse(times: int) -> None:
        for _ in range(times):
            error = RdchatError(ErrorCode.FORBIDDEN)
            refusals.note(error, route="", method="GET", person_id=None, subject_id=None, request_id="id")

    with capture_logs() as logged:
        refuse(100)
        assert len(logged) == 30
        now[0] += 2
        refuse(100)
    assert [one["not_logged_before"] for one in logged[29:]] == [0, 70, 0]
