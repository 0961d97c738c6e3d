"""People: who calls, as what, and who can be booked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class Role(StrEnum):
    """The role of a person. The first three are clients."""

    CLIENT = "client"
    STUDENT = "student"
    EMPLOYEE = "employee"
    PSYCHOLOGIST = "psychologist"
    SUPER_ADMIN = "super_admin"


CLIENT_ROLES: Final = frozenset({Role.CLIENT, Role.STUDENT, Role.EMPLOYEE})


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, as the token says."""

    id: UUID
    role: Role
    full_name: str
    email: str | None = None
    organization_id: UUID | None = None

    @property
    def is_client(self) -> bool:
        """Whether the caller is a client, of any kind."""
        return self.role in CLIENT_ROLES

    @property
    def is_admin(self) -> bool:
        """Whether the caller runs the service."""
        return self.role is Role.SUPER_ADMIN


@dataclass(frozen=True, slots=True)
class Psychologist:
    """A psychologist, whom clients can book."""

    id: UUID
    full_name: str
    timezone: str
    is_active: bool
    created_at: datetime
    updated_at: datetime
