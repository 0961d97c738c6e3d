"""What is written down for good: who did what, who saw what, and who was refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

DONE: Final = "done"


class AuditKind(StrEnum):
    """What an entry is about. Kept in rows: a kind never changes its meaning."""

    SIGN_IN_REFUSED = "sign_in_refused"
    ACCESS_REFUSED = "access_refused"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 - no secret
    CONTENT_READ = "content_read"
    STATE_CHANGED = "state_changed"
    ADMINISTRATION = "administration"
    PERSON_EXPORTED = "person_exported"
    PERSON_ERASED = "person_erased"
    HOLD_CHANGED = "hold_changed"
    RETENTION_APPLIED = "retention_applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something to write down.

    `action` is the name of the operation or transition, `outcome` DONE, a state, or the code of a refusal;
    `actor_id` who did it, None where that is the service, the command line or one who is not known;
    `subject_id` what it was done to, `session_id` the session that it is about. `detail` is what may be
    personal, as words: encrypted with the key of the person `detail_owner`, by default the actor, or of the
    service where there is neither.
    """

    at: datetime
    kind: AuditKind
    action: str
    outcome: str = DONE
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    session_id: UUID | None = None
    occurrences: int = 1
    detail: Mapping[str, str] | None = None
    detail_owner: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry as it was written. `detail` is None where there was none, or its key is destroyed."""

    id: UUID
    at: datetime
    kind: str
    action: str
    outcome: str
    actor_id: UUID | None
    subject_id: UUID | None
    session_id: UUID | None
    occurrences: int
    detail: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries: all that is None is left open. `person_id` is the actor or the subject."""

    kinds: tuple[AuditKind, ...] | None = None
    person_id: UUID | None = None
    session_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
