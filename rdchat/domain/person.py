"""People: who calls, as what, and who can be booked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class Role(StrEnum):
    """Who somebody is. The first three are clients; what each may do is in `permissions`."""

    CLIENT = "client"
    STUDENT = "student"
    EMPLOYEE = "employee"
    PSYCHOLOGIST = "psychologist"
    SUPER_ADMIN = "super_admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, as the token says."""

    id: UUID
    role: Role
    full_name: str
    email: str | None = None
    organization_id: UUID | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Psychologist:
    """A psychologist, whom clients can book."""

    id: UUID
    full_name: str
    timezone: str
    is_active: bool
    created_at: datetime
    updated_at: datetime
