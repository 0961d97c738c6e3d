"""The three people of the sandbox; their ids are the same each time."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from rdchat.domain.person import Caller, Role

BUDI: Final = Caller(UUID("00000000-0000-4000-8000-0000000000b1"), Role.CLIENT, "Budi Santoso")
SARI: Final = Caller(UUID("00000000-0000-4000-8000-000000000001"), Role.PSYCHOLOGIST, "Dr. Sari Wulandari")
ADMIN: Final = Caller(UUID("00000000-0000-4000-8000-0000000000ad"), Role.SUPER_ADMIN, "Admin")
