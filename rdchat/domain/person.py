"""People: who calls, as what, and who can be booked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class Role(StrEnum):
    """Who somebody is. The first three are clients."""

    CLIENT = "client"
    STUDENT = "student"
    EMPLOYEE = "employee"
    PSYCHOLOGIST = "psychologist"
    SUPER_ADMIN = "super_admin"


CLIENT_ROLES: Final = frozenset({Role.CLIENT, Role.STUDENT, Role.EMPLOYEE})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as their token says."""

    id: UUID
    role: Role
    full_name: str
    email: str | None = None
    organization_id: UUID | None = None

    @property
    def is_client(self) -> bool:
        """Whether they are a client, of whichever kind."""
        return self.role in CLIENT_ROLES

    @property
    def is_admin(self) -> bool:
        """Whether they run the service."""
        return self.role is Role.SUPER_ADMIN


@dataclass(frozen=True, slots=True)
class Psychologist:
    """Somebody whom clients can book."""

    id: UUID
    full_name: str
    timezone: str
    is_active: bool
    created_at: datetime
    updated_at: datetime
