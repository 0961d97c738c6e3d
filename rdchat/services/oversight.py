"""What supervisors and administrators see: how counsellings stand, and numbers. Never content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rdchat.common.errors import invalid
from rdchat.domain import permissions
from rdchat.domain.report import LONGEST_SPAN
from rdchat.postgres import counseling_lists, reports

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.counseling import Counseling, CounselingFilter
    from rdchat.domain.person import Caller
    from rdchat.domain.report import OrganizationReport
    from rdchat.postgres.pool import Pool
    from statemachine import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class OversightService:
    """Lists and numbers of all counsellings, or of an organisation's."""

    pool: Pool
    clock: Clock

    async def list_counselings(self, caller: Caller, part: CounselingFilter) -> list[Counseling]:
        """List a part of the counsellings that the caller oversees, latest start first.

        Raise RdchatError (FORBIDDEN) for an organisation that they do not oversee.
        """
        seen = _overseen(caller, part)
        if seen is None:
            return []
        return await counseling_lists.list_counselings(self.pool, seen, person_id=None, at=self.clock.now())

    async def list_sessions(self, caller: Caller, part: CounselingFilter) -> list[Session]:
        """List the sessions of a part of the counsellings, as `list_counselings` does."""
        seen = _overseen(caller, part)
        if seen is None:
            return []
        return await counseling_lists.list_sessions(self.pool, seen, at=self.clock.now())

    async def make_report(
        self, caller: Caller, organization_id: UUID | None, since: datetime, until: datetime
    ) -> OrganizationReport:
        """Count what became of the counsellings that start within a span.

        Raise RdchatError: FORBIDDEN for what the caller does not oversee, VALIDATION_FAILED for a span that
        is empty or too long.
        """
        overseen = permissions.overseen_organization(caller, organization_id)
        if since >= until:
            raise invalid("to", "Must be after from.")
        if until - since > LONGEST_SPAN:
            raise invalid("to", f"Must be at most {LONGEST_SPAN.days} days after from.")
        return await reports.count_counselings(self.pool, overseen, since, until, at=self.clock.now())


def _overseen(caller: Caller, part: CounselingFilter) -> CounselingFilter | None:
    """Return what of a part a caller oversees; None: nothing, as without an organisation of their own."""
    if part.organization_id is None and not permissions.oversees_anything(caller):
        return None
    return replace(part, organization_id=permissions.overseen_organization(caller, part.organization_id))
