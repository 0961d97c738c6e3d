"""One session: the plain model that the shared machine is triggered on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from statemachine.states import CALLED_OFF, OPEN, TERMINAL, EndReason, SessionOutcome, Status
from statemachine.values import value

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class AutomationKind(StrEnum):
    """What a session does by itself. The order of the members means nothing: see `RUN_ORDER`."""

    INITIAL_MESSAGE = "initial_message"
    ENABLE_CHAT = "enable_chat"
    END_WARNING = "end_warning"
    AUTO_END = "auto_end"


#: The order in which automations run that are due at one instant, and in which they are shown.
RUN_ORDER: Final = (
    AutomationKind.INITIAL_MESSAGE,
    AutomationKind.ENABLE_CHAT,
    AutomationKind.END_WARNING,
    AutomationKind.AUTO_END,
)


class AutomationStatus(StrEnum):
    """What became of an automation. Only `scheduled` ones are ever run."""

    SCHEDULED = "scheduled"
    DONE = "done"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    FAILED = "failed"


@value
class Automation:
    """One scheduled step of a session.

    `lateness_ms` is how long after `due_at` it was run, in whole milliseconds; `reason` says why it was
    not (skipped, cancelled, failed).
    """

    kind: AutomationKind
    due_at: datetime
    status: AutomationStatus = AutomationStatus.SCHEDULED
    executed_at: datetime | None = None
    lateness_ms: int | None = None
    reason: str | None = None


@dataclass(slots=True)
class Session:
    """One chat session between a client and a psychologist.

    `version` counts commits and fences writers; `state_version` is the version of the last commit that did
    more than add messages, and fences those who only add some; `last_seq` is the number of the newest message
    (dense from 1, 0 when there is none); `schedule_version` names the plan of automations that counts;
    `is_over_limit`: at its start, others of its client or psychologist have the places that there are.
    `client_timezone` and `psychologist_timezone` are the IANA names of the zones in which the two read their
    times, `organization_id` the organisation whose member the client was then. All instants are aware UTC
    datetimes. Only a copy made by `step` is ever changed.
    """

    id: UUID
    counseling_id: UUID
    client_id: UUID
    client_name: str
    psychologist_id: UUID
    psychologist_name: str
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    updated_at: datetime
    status: Status = Status.PENDING
    version: int = 0
    state_version: int = 0
    last_seq: int = 0
    schedule_version: int = 1
    language: str = "id"
    client_timezone: str = "UTC"
    psychologist_timezone: str = "UTC"
    organization_id: UUID | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    outcome: SessionOutcome | None = None
    is_over_limit: bool = False
    automations: dict[AutomationKind, Automation] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether participants may write: exactly in `active` and `ending_soon`."""
        return self.status in OPEN

    @property
    def is_over(self) -> bool:
        """Whether the session reached a terminal state."""
        return self.status in TERMINAL

    @property
    def participants(self) -> tuple[UUID, UUID]:
        """The client and the psychologist."""
        return self.client_id, self.psychologist_id

    @property
    def ended_by(self) -> UUID | None:
        """The participant who ended the open chat before its time; None when no one did."""
        match self.end_reason:
            case EndReason.ENDED_BY_CLIENT:
                return self.client_id
            case EndReason.ENDED_BY_PSYCHOLOGIST:
                return self.psychologist_id
        return None

    @property
    def is_called_off(self) -> bool:
        """Whether a person cancelled it, and not the service."""
        return self.end_reason in CALLED_OFF

    def name_of(self, person_id: UUID) -> str:
        """Return the full name of a participant."""
        return self.psychologist_name if person_id == self.psychologist_id else self.client_name

    def timezone_of(self, person_id: UUID) -> str:
        """Return the zone in which a person reads its times; others read them as the client does."""
        return self.psychologist_timezone if person_id == self.psychologist_id else self.client_timezone

    def due(self, now: datetime) -> list[Automation]:
        """List the scheduled automations that are due at `now`, in the order in which they must run."""
        if self.is_over:
            return []
        waiting = [
            automation
            for automation in self.automations.values()
            if automation.status is AutomationStatus.SCHEDULED and automation.due_at <= now
        ]
        return sorted(waiting, key=lambda automation: (automation.due_at, _PLACE[automation.kind]))

    def draft(self) -> Session:
        """Copy the session so that a step can change it without touching the original."""
        # Spelled out: a loop over the fields takes four times as long, and every command makes a draft.
        draft = Session.__new__(Session)
        draft.id = self.id
        draft.counseling_id = self.counseling_id
        draft.client_id = self.client_id
        draft.client_name = self.client_name
        draft.psychologist_id = self.psychologist_id
        draft.psychologist_name = self.psychologist_name
        draft.starts_at = self.starts_at
        draft.ends_at = self.ends_at
        draft.created_at = self.created_at
        draft.updated_at = self.updated_at
        draft.status = self.status
        draft.version = self.version
        draft.state_version = self.state_version
        draft.last_seq = self.last_seq
        draft.schedule_version = self.schedule_version
        draft.language = self.language
        draft.client_timezone = self.client_timezone
        draft.psychologist_timezone = self.psychologist_timezone
        draft.organization_id = self.organization_id
        draft.started_at = self.started_at
        draft.ended_at = self.ended_at
        draft.end_reason = self.end_reason
        draft.outcome = self.outcome
        draft.is_over_limit = self.is_over_limit
        draft.automations = self.automations.copy()
        return draft


_PLACE = {kind: position for position, kind in enumerate(RUN_ORDER)}
