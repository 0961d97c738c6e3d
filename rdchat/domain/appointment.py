"""An appointment: what is known of any counselling, by chat or not, that is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.counseling import Counseling
    from statemachine import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """Who meets whom, and when. `session_id` is None without chat.

    `client_timezone` and `psychologist_timezone` are the IANA names of the zones in which the two read its
    times, `language` the one in which they are told of it. `former_timezone` is the zone of a psychologist
    who has handed it over, where that one is told as well.
    """

    counseling_id: UUID
    session_id: UUID | None
    client_id: UUID
    client_name: str
    psychologist_id: UUID
    psychologist_name: str
    starts_at: datetime
    ends_at: datetime
    client_timezone: str
    psychologist_timezone: str
    language: str
    former_timezone: str | None = None

    def timezone_of(self, person_id: UUID) -> str:
        """Return the zone in which one of those who are told reads its times."""
        if person_id == self.psychologist_id:
            return self.psychologist_timezone
        if person_id != self.client_id and self.former_timezone is not None:
            return self.former_timezone
        return self.client_timezone

    @classmethod
    def of_session(cls, session: Session) -> Appointment:
        """Make the appointment that a chat session is."""
        return cls(
            counseling_id=session.counseling_id,
            session_id=session.id,
            client_id=session.client_id,
            client_name=session.client_name,
            psychologist_id=session.psychologist_id,
            psychologist_name=session.psychologist_name,
            starts_at=session.starts_at,
            ends_at=session.ends_at,
            client_timezone=session.client_timezone,
            psychologist_timezone=session.psychologist_timezone,
            language=session.language,
        )

    @classmethod
    def of_counseling(cls, counseling: Counseling, language: str) -> Appointment:
        """Make the appointment that a counselling is; without a session, it has no language of its own."""
        return cls(
            counseling_id=counseling.id,
            session_id=counseling.session_id,
            client_id=counseling.client_id,
            client_name=counseling.client_name,
            psychologist_id=counseling.psychologist_id,
            psychologist_name=counseling.psychologist_name,
            starts_at=counseling.slot.starts_at,
            ends_at=counseling.slot.ends_at,
            client_timezone=counseling.client_timezone,
            psychologist_timezone=counseling.psychologist_timezone,
            language=counseling.language or language,
        )
