"""Stopping people, and letting them in again: what administrators do, whatever tokens say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.domain import permissions
from rdchat.postgres import access_rules, calendars
from rdchat.postgres.pool import transaction

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.access_rule import AccessRule
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller, Role
    from rdchat.postgres.pool import Pool
    from rdchat.services.access_list import AccessList
    from rdchat.services.psychologists import PsychologistService


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A role that a person's tokens must say from now on; None: whichever they say."""

    role: Role | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessControl:
    """Changes who may call. This replica knows at once, all others within a second."""

    pool: Pool
    access: AccessList
    psychologists: PsychologistService
    clock: Clock

    async def save_person(
        self, caller: Caller, person_id: UUID, *, is_active: bool | None, role: RoleChange | None
    ) -> tuple[AccessRule, list[Counseling]]:
        """Deactivate a person or let them in again, and fix their role or leave it to their tokens.

        What is None stays as it is. A psychologist who is deactivated is not booked any more either; return
        what they have ahead as well, which stays booked.

        Raise RdchatError: FORBIDDEN, ILLEGAL_TRANSITION for an administrator who would lock themselves out.
        """
        _must_run_service(caller)
        is_theirs = caller.id == person_id
        if is_theirs and (is_active is False or (role is not None and role.role not in (None, caller.role))):
            raise RdchatError(ErrorCode.ILLEGAL_TRANSITION, "You cannot lock yourself out")
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            affected, entries = (
                await self.psychologists.withdraw(connection, caller, person_id, now)
                if is_active is False
                else ([], [])
            )
            former, number = await access_rules.lock(connection, person_id)
            present = former
            if is_active is not None:
                present = replace(present, is_active=is_active)
            if role is not None and role.role is None:
                # Older tokens that say another one stay refused.
                present = replace(present, role_is_fixed=False)
            elif role is not None and not (former.role_is_fixed and former.role is role.role):
                present = replace(present, role=role.role, role_since=now, role_is_fixed=True)
            if present != former:
                is_less = former.is_active > present.is_active or (
                    present.role_is_fixed and present.role_since != former.role_since
                )
                await access_rules.put(connection, present, number, cut=is_less)
        self.psychologists.notifier.publish(entries)
        await self._follow()
        return present, affected

    async def revoke_tokens(self, caller: Caller, person_id: UUID) -> AccessRule:
        """Refuse all tokens of a person that were issued until now, also those for Ably and their calendar.

        A token that they get from now on is good. Raise RdchatError (FORBIDDEN).
        """
        _must_run_service(caller)
        await calendars.delete_link(self.pool, person_id)
        async with transaction(self.pool) as connection:
            former, number = await access_rules.lock(connection, person_id)
            present = replace(former, revoked_at=self.clock.now())
            await access_rules.put(connection, present, number, cut=True)
        await self._follow()
        return present

    async def _follow(self) -> None:
        """Let it hold here at once. It is committed: where that fails, it holds a moment later."""
        with contextlib.suppress(UnavailableError):
            await self.access.refresh()


def _must_run_service(caller: Caller) -> None:
    if not permissions.may_stop_people(caller):
        raise RdchatError(ErrorCode.FORBIDDEN)
