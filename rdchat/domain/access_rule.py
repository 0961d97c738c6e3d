"""What is true of a person's access, whatever their tokens say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.person import Caller, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """An exception from the rule that all who have a valid token may call as what it says.

    Tokens that were issued until `revoked_at` are refused. `role` is what the person is since `role_since`:
    older tokens that say another one are refused, or all of them if it is fixed.
    """

    person_id: UUID
    is_active: bool = True
    revoked_at: datetime | None = None
    role: Role | None = None
    role_since: datetime | None = None
    role_is_fixed: bool = False

    def check(self, caller: Caller) -> None:
        """Raise RdchatError: FORBIDDEN where a new token would not help, UNAUTHENTICATED where one does.

        A token knows the second alone in which it was issued. Of the one in which something was revoked none
        is good, so that one from just before is not; a new one may have to wait for the next second.
        """
        if not self.is_active:
            raise RdchatError(ErrorCode.FORBIDDEN, "This account is deactivated")
        is_other = self.role is not None and caller.role is not self.role
        if is_other and self.role_is_fixed:
            raise RdchatError(ErrorCode.FORBIDDEN, "Your role is another one now")
        if _until(self.revoked_at, caller) or (is_other and _until(self.role_since, caller)):
            raise RdchatError(ErrorCode.UNAUTHENTICATED)


def _until(instant: datetime | None, caller: Caller) -> bool:
    return instant is not None and caller.issued_at <= instant.timestamp()
