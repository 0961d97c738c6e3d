"""A counselling, as it is asked for and as it was booked; and which ones are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.booking import Slot
    from statemachine import Status


@dataclass(frozen=True, slots=True)
class Booking:
    """What a client asks for. `psychologist_id` None: the free psychologist with the fewest that day.

    `language` None: the organisation's, or the usual one. `client_timezone`: where the client reads its
    times. `organization_id`: whose member the client is.
    """

    client_id: UUID
    method: str
    slot: Slot
    notes: str | None
    psychologist_id: UUID | None
    language: str | None = None
    client_timezone: str = "UTC"
    organization_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Counseling:
    """One booked counselling. `session_id` is None unless its method is chat.

    The slot's zone is the one in which its times were agreed; `client_timezone` and `psychologist_timezone`
    are those in which the two read them. `organization_id`: whose member the client was when they booked.
    `revision` counts its changes as calendars do. `encrypted_cancel_reason` is why it was cancelled,
    in the words of the one who did: it is decrypted for those who may read it. `language` is that of its
    session, None without one.
    """

    id: UUID
    client_id: UUID
    client_name: str
    psychologist_id: UUID
    psychologist_name: str
    method: str
    status: str
    slot: Slot
    client_timezone: str
    psychologist_timezone: str
    session_id: UUID | None
    session_status: Status | None
    revision: int
    updated_at: datetime
    organization_id: UUID | None = None
    encrypted_cancel_reason: bytes | None = None
    language: str | None = None

    @property
    def participants(self) -> tuple[UUID, UUID]:
        """The client and the psychologist."""
        return self.client_id, self.psychologist_id

    def timezone_of(self, person_id: UUID) -> str:
        """Return the zone in which a person reads its times; others read them as the client does."""
        return self.psychologist_timezone if person_id == self.psychologist_id else self.client_timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class CounselingFilter:
    """A part of the counsellings: those that start from `since` on and before `until`.

    `before` is the (start, id of the counselling) of the last one that the caller has seen, and `offset` how
    many are left out behind that. What is None does not narrow.
    """

    status: str | None
    since: datetime | None
    until: datetime | None
    before: tuple[datetime, UUID] | None
    limit: int
    offset: int = 0
    client_id: UUID | None = None
    psychologist_id: UUID | None = None
    organization_id: UUID | None = None
