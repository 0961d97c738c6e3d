"""The people of a service that is tried by hand: always the same, with the same ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from rdchat.domain.availability import Availability, Hours, WeeklyHours
from rdchat.domain.person import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Whose members some of them are.
ORGANIZATION: Final = UUID("00000000-0000-4000-8000-0000000000f1")


def _weekly(days: Iterable[int], start: int, end: int) -> tuple[WeeklyHours, ...]:
    return tuple(WeeklyHours(day, Hours(time(start), time(end))) for day in days)


SARI: Final = Caller(
    UUID("00000000-0000-4000-8000-000000000001"),
    Role.PSYCHOLOGIST,
    "Dr. Sari Wulandari",
    timezone="Asia/Jakarta",
)
RIZKY: Final = Caller(
    UUID("00000000-0000-4000-8000-000000000002"),
    Role.PSYCHOLOGIST,
    "Rizky Pratama, M.Psi.",
    timezone="Asia/Makassar",
)
MAYA: Final = Caller(
    UUID("00000000-0000-4000-8000-000000000003"),
    Role.PSYCHOLOGIST,
    "Maya Kusuma, M.Psi.",
    timezone="Asia/Jayapura",
)
BUDI: Final = Caller(
    UUID("00000000-0000-4000-8000-0000000000b1"), Role.CLIENT, "Budi Santoso", timezone="Asia/Jakarta"
)
AYU: Final = Caller(
    UUID("00000000-0000-4000-8000-0000000000b2"),
    Role.EMPLOYEE,
    "Ayu Lestari",
    organization_id=ORGANIZATION,
    timezone="Asia/Makassar",
)
DEWI: Final = Caller(
    UUID("00000000-0000-4000-8000-0000000000c1"),
    Role.SUPERVISOR,
    "Dewi Anggraini",
    organization_id=ORGANIZATION,
    timezone="Asia/Jakarta",
)
ADMIN: Final = Caller(
    UUID("00000000-0000-4000-8000-0000000000ad"), Role.SUPER_ADMIN, "Hendra Wijaya", timezone="Asia/Jakarta"
)

#: In the order in which they are shown.
PEOPLE: Final = (BUDI, AYU, SARI, RIZKY, MAYA, DEWI, ADMIN)
#: When they work. The first can be booked at any time, so that there is someone at every hour.
HOURS: Final[Mapping[UUID, Availability]] = {
    SARI.id: Availability("Asia/Jakarta"),
    RIZKY.id: Availability("Asia/Makassar", _weekly(range(1, 6), 9, 17)),
    MAYA.id: Availability("Asia/Jayapura", _weekly(range(1, 7), 16, 21)),
}
#: Of clients who are there for one session only.
_NAMES: Final = ("Putri Maharani", "Bayu Nugroho", "Intan Permata", "Galih Saputra", "Nadia Rahmawati")


def new_client() -> Caller:
    """Make a client who was never there before."""
    fresh = uuid4()
    return replace(BUDI, id=fresh, full_name=_NAMES[fresh.int % len(_NAMES)])
