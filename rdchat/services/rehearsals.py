"""Rehearsals: sessions that start in a moment and are short, to see one pass by. For development alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.booking import DEFAULT_TIMEZONE, Slot
from rdchat.domain.booking_rules import BookingRules
from rdchat.domain.counseling import Booking, Counseling
from rdchat.postgres import people
from statemachine.schedule import Leads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rdchat.domain.person import Caller
    from rdchat.services.counselings import CounselingService

_STARTS_IN: Final = timedelta(seconds=20)
_LASTS: Final = timedelta(minutes=2)
#: The first message is due before the booking, and so comes at once.
_LEADS: Final = Leads(initial_message=timedelta(hours=1), end_warning=timedelta(seconds=45))
_NO_RULES: Final = BookingRules(notice=timedelta(0), cancel_deadline=timedelta(0), max_pending=1_000_000)
_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalService:
    """Books rehearsals, whatever lengths, leads, limits and hours other bookings are held to."""

    counselings: CounselingService

    async def book(self, client: Caller, psychologist_ids: Sequence[UUID]) -> Counseling:
        """Book a chat of two minutes for a client who has nothing else then, 20 seconds from now.

        It is with the first of the psychologists who takes bookings at all.
        Raise RdchatError: NO_PSYCHOLOGIST where none does, UNAVAILABLE.
        """
        usual = self.counselings
        active = {one.id for one in await people.list_psychologists(usual.pool)}
        psychologist_id = next((one for one in psychologist_ids if one in active), None)
        if psychologist_id is None:
            raise RdchatError(ErrorCode.NO_PSYCHOLOGIST)
        # By whole seconds, as people book; rounded up, so that nothing is due before the chat is shown.
        starts_at = usual.clock.now().replace(microsecond=0) + _STARTS_IN + timedelta(seconds=1)
        timezone = client.timezone or DEFAULT_TIMEZONE
        booking = Booking(
            client_id=client.id,
            method="chat",
            slot=Slot(starts_at, starts_at + _LASTS, timezone),
            notes=None,
            psychologist_id=psychologist_id,
            client_timezone=timezone,
            organization_id=client.organization_id,
        )
        free = replace(
            usual,
            leads=_LEADS,
            limits=replace(usual.limits, per_psychologist=_NO_LIMIT),
            rules=_NO_RULES,
            keeps_hours=False,
        )
        return await free.book(client, booking, counseling_id=uuid4())
