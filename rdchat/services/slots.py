"""When people can be booked: the times that are left of one psychologist, of all, and who is free at one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rdchat.common.errors import invalid
from rdchat.domain.free_slots import Bookable, bounds_of, free_slots, shared_slots
from rdchat.postgres import availability

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.booking_rules import BookingRules
    from rdchat.domain.free_slots import FreeSlot, SharedSlot, Wish
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.postgres.pool import Pool
    from rdchat.services.psychologists import PsychologistService


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotService:
    """What can still be booked: an offer, computed without locks."""

    pool: Pool
    psychologists: PsychologistService
    clock: Clock
    limits: Limits
    rules: BookingRules
    one_at_a_time: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 1))

    async def list_free_psychologists(
        self, caller: Caller, slot: Slot, *, after: tuple[str, UUID] | None, limit: int
    ) -> list[Psychologist]:
        """List those whom the caller can book for a slot, as `list_psychologists` lists all."""
        if slot.starts_at < self.rules.earliest_start(caller, self.clock.now()):
            return []
        free = await availability.list_free_psychologists(self.pool, slot, self.limits, after=after)
        return free[:limit]

    async def list_free_slots(
        self, caller: Caller, psychologist_id: UUID, wish: Wish, *, except_counseling: UUID | None = None
    ) -> list[FreeSlot]:
        """List the times of a day that the caller can book with a psychologist, earliest first.

        `except_counseling` is not counted: it is the one that is to be moved.

        Raise RdchatError: VALIDATION_FAILED for a length or a time zone that cannot be, NOT_FOUND.
        """
        limits, now = self.limits, self.clock.now()
        _check_length(wish, limits)
        bounds = wish.bounds(limits=limits, now=now)
        who = await self.psychologists.get_psychologist(psychologist_id)
        hours = await self.psychologists.get_availability(psychologist_id)
        if not who.is_active or bounds is None:
            return []
        since, until = bounds[0], bounds[1] + wish.length
        booked = await availability.list_booked(
            self.pool, [psychologist_id], since, until, except_counseling=except_counseling
        )
        return list(
            free_slots(
                wish,
                hours,
                booked.get(psychologist_id, []),
                limits=limits,
                now=now,
                earliest=self.rules.earliest_start(caller, now),
            )
        )

    async def list_shared_slots(
        self, caller: Caller, wishes: Sequence[Wish], *, taken_too: bool = False
    ) -> list[SharedSlot]:
        """List the times of several days that the caller can book with any psychologist, earliest first.

        `taken_too`: as if no one had booked yet, so all times at which psychologists work.

        Computed beside the event loop, one request at a time. Raise RdchatError (VALIDATION_FAILED) for a
        length or a time zone that cannot be.
        """
        limits, now = self.limits, self.clock.now()
        _check_length(wishes[0], limits)
        bounds = bounds_of(wishes, limits=limits, now=now)
        if bounds is None:
            return []
        working = await availability.list_working(self.pool)
        ids = [] if taken_too else [one.id for one, _ in working]
        most = limits.per_psychologist
        full = await availability.list_full(self.pool, ids, *bounds, most) if ids else {}
        bookable = [Bookable(one, hours, full.get(one.id, ())) for one, hours in working]
        async with self.one_at_a_time:
            return await asyncio.to_thread(
                shared_slots,
                wishes,
                bookable,
                limits=limits,
                now=now,
                earliest=self.rules.earliest_start(caller, now),
            )


def _check_length(wish: Wish, limits: Limits) -> None:
    if not limits.shortest <= wish.length <= limits.longest:
        raise invalid("duration", "No session can be so short or so long.")
