"""Erasures: what is kept of them, and what is held back from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class ErasureKind(StrEnum):
    """Of a person, or of what has been kept for long enough."""

    PERSON = "person"
    RETENTION = "retention"


class ErasureStatus(StrEnum):
    """How far an erasure is: keys are destroyed before the rest is tidied away."""

    BEGUN = "begun"
    DESTROYED = "destroyed"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """An erasure, for good. `counts` says how much was erased, by what it was; `receipt` is JSON, signed."""

    id: UUID
    kind: ErasureKind
    person_id: UUID | None
    actor_id: UUID | None
    status: ErasureStatus
    begun_at: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    destroyed_at: datetime | None = None
    finished_at: datetime | None = None
    receipt: str | None = None


class HoldSubject(StrEnum):
    """What a legal hold is on."""

    PERSON = "person"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """What must not be erased, from `set_at` until it is lifted."""

    id: UUID
    subject_type: HoldSubject
    subject_id: UUID
    set_by: UUID | None
    set_at: datetime
    lifted_at: datetime | None = None
