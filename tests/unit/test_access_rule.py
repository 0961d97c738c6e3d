"""What a rule refuses: to the second in which a token was issued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.access_rule import AccessRule
from rdchat.domain.person import Caller, Role

SOMEBODY = UUID("00000000-0000-4000-8000-000000000001")
SECOND = datetime(2030, 1, 15, 7, 0, 12, tzinfo=UTC)
HALF_PAST = SECOND + timedelta(milliseconds=500)


def caller(seconds: float = 0.0, role: Role = Role.CLIENT) -> Caller:
    """One whose token says that it was issued so long after the second."""
    return Caller(SOMEBODY, role, "Budi", issued_at=SECOND.timestamp() + seconds)


def code_of(rule: AccessRule, one: Caller) -> ErrorCode | None:
    try:
        rule.check(one)
    except RdchatError as error:
        return error.code
    return None


def test_a_rule_that_says_nothing_refuses_no_one() -> None:
    for role in Role:
        assert code_of(AccessRule(person_id=SOMEBODY), caller(role=role)) is None


def test_who_is_deactivated_is_refused_whatever_else_holds() -> None:
    rule = AccessRule(person_id=SOMEBODY, is_active=False, revoked_at=SECOND)
    with pytest.raises(RdchatError, match=r"^This account is deactivated$") as caught:
        rule.check(caller(3600))
    assert caught.value.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    ("revoked_at", "issued", "is_refused"),
    [
        # Issued at any time within the second, a token says its beginning.
        (HALF_PAST, -1, True),
        (HALF_PAST, 0, True),
        (HALF_PAST, 1, False),
        (HALF_PAST, 0.499, True),
        (HALF_PAST, 0.501, False),
        (SECOND, 0, True),
        (SECOND, 1, False),
    ],
)
def test_tokens_are_refused_that_were_issued_until_the_revocation(
    revoked_at: datetime, issued: float, *, is_refused: bool
) -> None:
    rule = AccessRule(person_id=SOMEBODY, revoked_at=revoked_at)
    assert code_of(rule, caller(issued)) is (ErrorCode.UNAUTHENTICATED if is_refused else None)


def test_a_role_that_has_changed_takes_the_powers_of_older_tokens_alone() -> None:
    rule = AccessRule(person_id=SOMEBODY, role=Role.CLIENT, role_since=HALF_PAST)
    assert code_of(rule, caller(0, Role.SUPER_ADMIN)) is ErrorCode.UNAUTHENTICATED
    assert code_of(rule, caller(1, Role.SUPER_ADMIN)) is None
    assert code_of(rule, caller(-3600, Role.CLIENT)) is None


def test_a_role_that_is_fixed_is_the_only_one() -> None:
    rule = AccessRule(person_id=SOMEBODY, role=Role.CLIENT, role_since=HALF_PAST, role_is_fixed=True)
    for issued in (-3600, 3600):
        assert code_of(rule, caller(issued, Role.SUPER_ADMIN)) is ErrorCode.FORBIDDEN
        assert code_of(rule, caller(issued, Role.CLIENT)) is None
