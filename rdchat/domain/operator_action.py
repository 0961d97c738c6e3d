"""What those have changed who run the service: when, who, what, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class ActionKind(StrEnum):
    """What can be done. Kept in rows: a kind never changes its meaning."""

    RETRY_DEAD_LETTER = "retry_dead_letter"
    DROP_AUTOMATION = "drop_automation"
    RETRY_WEBHOOK = "retry_webhook"
    RESCHEDULE_COUNSELING = "reschedule_counseling"
    CANCEL_COUNSELING = "cancel_counseling"
    REASSIGN_COUNSELING = "reassign_counseling"
    SAVE_PSYCHOLOGIST = "save_psychologist"
    SAVE_AVAILABILITY = "save_availability"
    SAVE_PERSON = "save_person"
    REVOKE_TOKENS = "revoke_tokens"
    ERASE_PERSON = "erase_person"
    HOLD_PERSON = "hold_person"
    HOLD_SESSION = "hold_session"


class SubjectType(StrEnum):
    """What an action is done to."""

    SESSION = "session"
    COUNSELING = "counseling"
    PSYCHOLOGIST = "psychologist"
    WEBHOOK = "webhook"
    PERSON = "person"


#: Outcomes beside the codes of refusals.
BEGUN: Final = "begun"
DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class ActionSubject:
    """What an action is done to, by its id."""

    type: SubjectType
    id: UUID


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, by which request, and why; None of all: someone at the command line, who did not say."""

    actor_id: UUID | None = None
    request_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """An action. `detail` is the kind of a timer; `outcome` is BEGUN, DONE or the code of the refusal.

    `reason`: in the words of the one who acts; for the audit alone, which encrypts it.
    """

    id: UUID
    at: datetime
    actor_id: UUID | None
    action: str
    subject: ActionSubject
    detail: str | None
    outcome: str
    request_id: str | None
    actor_name: str | None = None
    reason: str | None = None
